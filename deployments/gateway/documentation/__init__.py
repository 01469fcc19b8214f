"""The contract as pages for a browser: Swagger UI and Redoc, with everything that they load."""
