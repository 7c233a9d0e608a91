-- +goose Up
-- Who opened Dealpay in the CRM: what an administrator allows them, and the name by which the trail shows them.
CREATE TABLE people (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  user_id    text NOT NULL CHECK (user_id <> ''), -- of the CRM
  name       text NOT NULL,
  role       text NOT NULL DEFAULT 'manager' CHECK (role IN ('manager', 'accountant', 'admin')),
  chief      boolean NOT NULL, -- an administrator of the CRM, when last seen
  seen_at    timestamptz NOT NULL,
  changed_by text NOT NULL DEFAULT '', -- who gave the role; nobody: the default
  PRIMARY KEY (tenant_id, user_id)
);
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON people USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE ON people TO dealpay_app;

-- +goose Down
SELECT 1;
