"""Makes Grantor's config.toml for a Django project."""
