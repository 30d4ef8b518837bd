CREATE USER grantor@'%';
GRANT SELECT (id, email, password, email_verified_at) ON shop.users TO grantor@'%';
