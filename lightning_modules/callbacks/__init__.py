"""What Lightning calls while a model trains."""
