-- +goose Up
-- Three roles: the owner (whoever migrates), the app (serves, owns nothing, sees one tenant at a time), and the relay
-- (sees only which promises are due). Roles belong to the whole cluster, so another database may be making them too.
-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
  PERFORM pg_advisory_xact_lock(7305512);
  FOREACH name IN ARRAY ARRAY['dealpay_app', 'dealpay_relay'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
    -- From PostgreSQL 16 on, making a role gives membership without the right to become it.
    IF NOT pg_has_role(current_user, name, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', name);
    END IF;
  END LOOP;
END $$;
-- +goose StatementEnd
GRANT USAGE ON SCHEMA public TO dealpay_app, dealpay_relay;
-- +goose StatementBegin
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE AS
  $$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
-- +goose StatementEnd

-- +goose Down
SELECT 1;
