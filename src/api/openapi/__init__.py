"""The API's description of itself: one OpenAPI document, and a page to read it."""
