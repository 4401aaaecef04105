"""What people can do: one module a context, each named by its plural noun."""
