"""Features, as they are answered to who asks for them."""
