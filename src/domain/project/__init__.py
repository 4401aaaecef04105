"""Projects: where flows live."""
