"""Throw everything; list what is not 4xx/2xx."""
import asyncio, json, time
from uuid import uuid4
import httpx
from tests.api.conftest import Person
from tests.attacks.flows import *

async def test_probe(ada, bob, anybody, root, application, said, join):
    bad = []
    async def go(p, m, path, **kw):
        t = time.monotonic()
        try:
            a = await p.request(m, path, **kw)
            s, text = a.status_code, a.text[:300]
        except Exception as e:
            s, text = 999, repr(e)
        d = time.monotonic() - t
        mark = "!!" if s >= 500 or d > 1.5 else "  "
        print(mark, s, f"{d:.2f}", m, path[:80], str(kw)[:60] if mark=="!!" else "", text if (mark == "!!") else text[:80])
        return s
    fl = await saved(ada, echo())
    hdr = {"Content-Type": "application/json"}
    # NULs
    for path in ["/api/v1/monitor/messages?session_id=%00", "/api/v1/monitor/messages?sender=%00", "/api/v1/monitor/messages?sender_name=a%00",
      "/api/v1/run/%00", "/api/v1/flows/?folder_id=%00", "/api/v1/monitor/messages?session_id=%ff", "/api/v1/monitor/messages?session_id=%25ff%2500", "/api/v1/runs/?page=1000000000000000000", "/api/v1/runs/?page=100000000000000000000000000","/api/v1/runs/?size=-1",
      "/api/v1/flows/?get_all=false&page=100000000000000000000", "/api/v1/flows/?get_all=false&page=922337203685477580", "/api/v1/monitor/messages?offset=99999999999999999999", "/api/v1/monitor/messages?limit=99999999999999999999999",
      f"/api/v1/monitor/transactions?flow_id={fl}&page=999999999999999999999", "/api/v1/users/whoami?x-api-key=%00", "/page/%00", "/page/..%2f..%2fetc%2fpasswd","/%2e%2e/etc/passwd", "/page/%252e%252e", "/api/v1/flows/" + "a"*5000, "/api/v1/flows/%F0%9F%92%A9"]:
        await go(ada, "POST" if "/run/%" in path else "GET", path, **({"json": {}} if "/run/%" in path else {}))
    for path in ["/api/v1/users/?skip=99999999999999999999999", "/api/v1/users/?limit=99999999999999999999"]:
        await go(root, "GET", path)
    pr = (await ada.get("/api/v1/projects/")).json()[0]["id"]
    for q in ["?search=%00&page=1", "?search=%25&page=1", "?page=99999999999999999999", "?page=1&size=0", "?search=" + "%5C"*50 + "&page=1"]:
        await go(ada, "GET", f"/api/v1/projects/{pr}{q}")
    await go(ada, "PATCH", "/api/v1/monitor/messages/session/%00?new_session_id=x")
    await go(ada, "PATCH", "/api/v1/monitor/messages/session/a?new_session_id=%00")
    await go(ada, "DELETE", "/api/v1/monitor/messages/session/%00")
    await go(ada, "DELETE", "/api/v1/monitor/messages/session/%ff%fe")
    # headers
    for h in [{"Last-Event-ID": "9"*400}, {"If-Match": "9"*400}, {"X-Min-Position": "core=" + "9"*18}, {"X-Min-Position": "core="+"9"*30}, {"X-Min-Position": "\xff"}, {"Idempotency-Key": "\xe9"*200}, {"Idempotency-Key": "a"*256}, {"Accept-Encoding": "\xff"}, {"Authorization": "Bearer \xff\xfe"}, {"x-api-key": "sk-\xff"}, {"Content-Length": "-1"}, {"Cookie": "access_token_lf=\xff"}, {"Host": "evil.example"}]:
        h = {k: (v.encode("latin-1") if isinstance(v, str) else v) for k, v in h.items()}
        print(h if len(str(h)) < 80 else "..")
        await go(ada, "PATCH", f"/api/v1/flows/{fl}", content=b'{"description": "z"}', headers=hdr | h)
        await go(ada, "GET", f"/api/v1/flows/{fl}", headers=h)
    # login
    for u, p in [("\0", "x"), ("x\0", "x"), ("x"*100000, "x"), ("root", "\0"), ("root", "x"*100000), ("\ud83d", "x")]:
        await go(anybody, "POST", "/api/v1/login", content="username=" + httpx.URL("http://a/?q=" + u).query.decode()[2:] if 0 else None, data={"username": u.encode("utf-8", "surrogatepass"), "password": p})
    for b in ["username=%00&password=%00", "username=%ff&password=%ff", "username=a&username=b&password=x", "username=a", "", "&&&=;", "username=%ED%A0%80&password=x"]:
        await go(anybody, "POST", "/api/v1/login", content=b, headers={"Content-Type": "application/x-www-form-urlencoded"})
    await go(anybody, "POST", "/api/v1/login", json={"username": "root", "password": "x"})
    for tok in ["\0", "x"*100000, "ü"]:
        await go(anybody, "POST", "/api/v1/login/link", json={"token": tok})
    for u in ["\0", " ", "a\u202eb", "x"*256, "\U0001F4A9"*250, "", "a\nb", "\ud800"]:
        try:
            c = json.dumps({"username": u, "password": "p"}).encode()
        except Exception: continue
        await go(anybody, "POST", "/api/v1/users/", content=c, headers=hdr)
    await go(anybody, "POST", "/api/v1/users/", json={"username": f"n{uuid4().hex}", "password": "\0" * 100})
    await go(anybody, "POST", "/api/v1/users/", json={"username": f"n{uuid4().hex}", "password": "x", "optins": {"a\0": True, "\0": False}})
    await go(ada, "PATCH", f"/api/v1/users/{ada.id}", json={"profile_image": "\0" * 10, "optins": {"a\0": True}})
    await go(ada, "PATCH", f"/api/v1/users/{ada.id}", json={"profile_image": "x" * 3_000_000})
    await go(ada, "PATCH", f"/api/v1/users/{ada.id}", json={"profile_image": None})
    # api keys, variables
    await go(ada, "POST", "/api/v1/api_key/", json={"name": "\0"})
    await go(ada, "POST", "/api/v1/api_key/", json={"name": "\U0001F4A9" * 500})
    await go(ada, "POST", "/api/v1/variables/", json={"name": "\U0001F4A9" * 500, "value": "\0", "default_fields": ["\0", "x"*100000], "type": "Generic"})
    await go(ada, "POST", "/api/v1/variables/", json={"name": "v", "value": "x" * 3_000_000, "type": "Generic"})
    await go(ada, "GET", "/api/v1/variables/")
    # flows
    for body in [{"name": "\U0001F4A9" * 500}, {"name": "x", "description": "\0" * 100, "tags": ["\0"], "icon": "\0", "gradient": "\0", "action_name": "\0"}, {"name": "(9)" * 100}, {"name": "x (99999999999999999999999999999)"}, {"name": "x (٣)"}, {"name": ""}, {"name": "%_\\"}, {"name": "x", "endpoint_name": "a" * 500}, {"name": "x", "endpoint_name": "é"}, {"name": "x", "endpoint_name": str(uuid4())}, {"name": "x", "icon_bg_color": "#\0\0\0\0\0\0"}]:
        await go(ada, "POST", "/api/v1/flows/", json=body)
        await go(ada, "POST", "/api/v1/flows/", json=body)
    await go(ada, "GET", "/api/v1/flows/?header_flows=true")
    for n in (1000, 70_000):
        ids = [str(uuid4()) for _ in range(n)]
        await go(ada, "POST", "/api/v1/flows/download/", json=ids)
        await go(ada, "DELETE", "/api/v1/flows/", json=ids)
        await go(ada, "DELETE", "/api/v1/monitor/messages", json=ids)
        await go(ada, "POST", "/api/v1/projects/", json={"name": "many", "flows_list": ids})
        await go(ada, "PATCH", f"/api/v1/projects/{pr}", json={"flows": ids})
    await go(ada, "POST", "/api/v1/flows/batch/", json={"flows": [{"name": "b"}] * 3000})
    # project upload
    for f in [{"folder_name": "\0", "flows": []}, {"folder_name": "x" * 20000, "flows": []}, {"folder_name": "\n", "flows": [{"name": "a"}]}, {"folder_name": "x", "folder_description": "\0", "flows": []}, {"folder_name": "x", "flows": [{"name": "a"}]*1001}, {"name": 7, "flows": []}, {"folder_name": "a\"; filename=x\r\nX: y", "flows": [{"name": "../../etc/passwd"}]}]:
        await go(ada, "POST", "/api/v1/projects/upload/", files={"file": ("x.json", json.dumps(f))})
    # sessions
    for s in ["\0", "x" * 501, "\U0001F4A9" * 500, "a/b", "..", "%00", "\x7f", "\u2028"]:
        await go(ada, "POST", f"/api/v1/build/{fl}/flow", json={"inputs": {"session": s, "input_value": "\0 hi"}})
        await go(ada, "POST", f"/api/v1/run/{fl}", json={"session_id": s, "input_value": "\0 hi"})
    for sz in (100, 500, 900, 950, 990, 3000, 5000, 9000, 9900, 9970, 9980, 9990, 9994, 9996):
        deep = b'{"a":' * sz + b"1" + b"}" * sz
        print("depth", sz)
        await go(ada, "POST", f"/api/v1/run/{fl}", content=b'{"input_value":"x","tweaks":{"ChatOutput-c":' + deep + b"}}", headers=hdr)
        await go(ada, "POST", f"/api/v1/run/{fl}", content=b'{"input_value":"x","tweaks":{"ChatOutput-c":{"data_template":' + deep + b"}}}", headers=hdr)
        await go(ada, "POST", f"/api/v1/build/{fl}/flow", content=b'{"data":' + deep + b"}", headers=hdr)
        m = (await ada.get(f"/api/v1/monitor/messages?flow_id={fl}")).json()[0]["id"]
        await go(ada, "PUT", f"/api/v1/monitor/messages/{m}", content=b'{"properties":' + deep + b"}", headers=hdr)
        await go(ada, "GET", "/api/v1/monitor/messages")
        await go(ada, "POST", "/api/v1/validate/prompt", content=b'{"name":"t","template":"{a}","frontend_node":' + deep + b"}", headers=hdr)
        await go(ada, "POST", "/api/v1/custom_component/update", content=b'{"code":"# builtin: ChatInput","template":' + deep + b',"field":"input_value","field_value":' + deep + b"}", headers=hdr)
    for t in [{}, {"a": 1}, {"template": {}}, {"provider": 1}, {"provider": {}}, {"provider": {"value": "OpenAI"}}, {"provider": {"value": []}}, {"provider": {"value": {}}}, {"model_name": None, "api_key": [], "base_url": 3}, {"template": {"value": [1]}}, {"template": 3}, {"mode": 1}, {"mode": {"value": {}}}, {"output_type": {"value": []}}]:
        for comp in ("ChatInput", "ChatOutput", "TextInput", "LanguageModelComponent", "Prompt Template", "Parser", "ParserComponent", "TypeConverterComponent", "Memory", ""):
            for fld in ("provider", "mode", "template", "output_type", "tool_mode"):
                for fn in (None, {"template": 5}, {"outputs": 3}):
                    a = await ada.post("/api/v1/custom_component/update", json={"code": f"# builtin: {comp}" if comp else "", "template": t, "field": fld, "field_value": t, "frontend_node": fn})
                    if a.status_code >= 500: print("!!", comp, t, fld, fn, a.text[:100])
    for fn in [{"template": 3}, {"template": {"t": 3}}, {"custom_fields": []}, {"custom_fields": {"t": 3}}, {"custom_fields": {"t": [[]]}}]:
        await go(ada, "POST", "/api/v1/validate/prompt", json={"name": "t", "template": "{a}{b}", "frontend_node": fn, "custom_fields": fn})
    for code in ["(" * 1_000_000, "1+" * 500_000 + "1", "-" * 1_000_000 + "1", "a" + ".b" * 500_000, "x=" * 500_000 + "1", "x\n" * 1_500_000, "\0", "if 1:\n" + " " * 100 + "x", "f'{" * 10000, "[" * 90 + "]" * 90, "lambda:" * 100_000 + "1", "not " * 900_000 + "x", "a if b else " * 200_000 + "c"]:
        await go(ada, "POST", "/api/v1/validate/code", json={"code": code}, timeout=60)
    await go(ada, "POST", "/api/v1/validate/prompt", json={"name": "t", "template": "{" * 1_000_000, "frontend_node": {}})
    await go(ada, "POST", "/api/v1/validate/prompt", json={"name": "t", "template": "".join("{a%d}" % i for i in range(200_000)), "frontend_node": {}})
    await go(ada, "POST", "/api/v1/custom_component", json={"code": "class " * 500_000})
    await go(ada, "POST", "/api/v1/custom_component", json={"code": "    name" + " " * 300_000})
    import psycopg
    print(await application.daemon.status() if hasattr(application.daemon, "status") else "")
    open("/tmp/said.txt", "w").write(said.text)
    async with application.world.database.pool.connection() as c:
        print(await (await c.execute("select * from es.dead_letters")).fetchall())
