-- +goose Up
-- Rules of a CRM's automation that came to work on a deal: what they ask, and what they were answered.
CREATE TABLE robot_calls (
  tenant_id    uuid NOT NULL REFERENCES tenants,
  id           uuid NOT NULL,
  token_hash   bytea NOT NULL CHECK (length(token_hash) = 32), -- of the token by which the rule is answered
  code         text NOT NULL CHECK (code <> ''),
  deal_id      text NOT NULL CHECK (deal_id <> ''),
  asked        bytea NOT NULL,         -- sealed: the token, and what the rule was set up with
  asked_at     timestamptz NOT NULL,
  confirmed_at timestamptz,            -- when the CRM knew the token
  answered_at  timestamptz,
  outcome      text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX robot_calls_token ON robot_calls (tenant_id, token_hash); -- a call that comes twice is one
CREATE INDEX robot_calls_open ON robot_calls (tenant_id, deal_id, id) WHERE answered_at IS NULL;
ALTER TABLE robot_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE robot_calls FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON robot_calls USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE ON robot_calls TO dealpay_app;

-- +goose Down
SELECT 1;
