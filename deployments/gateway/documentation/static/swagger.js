// Starts Swagger UI. A file of its own, because the page allows no script that is written into it.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#documentation",
    deepLinking: true,
    // A key that was given to Authorize is gone with the page.
    persistAuthorization: false,
    // Otherwise the page would ask a validator on the internet.
    validatorUrl: null,
  });
});
