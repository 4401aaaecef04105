"""The routes under ``/api/v2``, one module a resource."""
