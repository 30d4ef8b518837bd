CREATE ROLE grantor LOGIN;
GRANT SELECT (id, username, password, is_active) ON auth_user TO grantor;
