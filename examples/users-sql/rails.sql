CREATE ROLE grantor LOGIN;
GRANT SELECT (id, email, encrypted_password, confirmed_at, locked_at) ON users TO grantor;
