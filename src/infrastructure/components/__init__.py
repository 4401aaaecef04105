"""The kinds of vertices this server can carry out, each in its own coroutine."""
