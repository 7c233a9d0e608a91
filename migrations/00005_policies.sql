-- +goose Up
-- Every table with a tenant_id: one tenant at a time, for its owner too. The catalogue test fails on a table that forgot.
-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['tenants', 'crm_tokens', 'api_keys', 'audit', 'idempotency', 'connections', 'invoices', 'links',
      'sends', 'attempts', 'notices', 'facts', 'refunds', 'exceptions', 'outbox', 'effects', 'deal_sync', 'lanes'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO dealpay_app', t);
  END LOOP;
END $$;
-- +goose StatementEnd
REVOKE UPDATE ON audit, facts FROM dealpay_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON doors TO dealpay_app;
GRANT SELECT, INSERT, DELETE ON spent TO dealpay_app;
-- The relay sees when promises are due and nothing else. The owner is a member of it and would inherit its policies.
CREATE POLICY due_times ON outbox FOR SELECT TO dealpay_relay USING (current_user = 'dealpay_relay');
CREATE POLICY relayed ON outbox FOR UPDATE TO dealpay_relay USING (current_user = 'dealpay_relay') WITH CHECK (current_user = 'dealpay_relay');
GRANT SELECT (tenant_id, id, kind, due_at, claimed_until, relayed_at, done_at, dead_at) ON outbox TO dealpay_relay;
GRANT UPDATE (relayed_at) ON outbox TO dealpay_relay;

-- +goose Down
SELECT 1;
