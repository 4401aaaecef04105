"""Version 1 of the API: LangBuilder's routes, one module a resource."""
