-- +goose Up
CREATE TABLE tenants (
  tenant_id   uuid PRIMARY KEY,
  crm         text NOT NULL CHECK (crm IN ('bitrix24', 'amocrm', 'kommo')),
  account_key text NOT NULL,          -- permanent: member_id, account_id
  domain      text NOT NULL,          -- today's host of the account
  name        text NOT NULL DEFAULT '',
  status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'revoked', 'uninstalled')),
  status_why  text NOT NULL DEFAULT '',
  enterprise  boolean NOT NULL DEFAULT false,
  layout      jsonb,                  -- what crm.Account.Setup made
  settings    jsonb NOT NULL DEFAULT '{}',
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
);

-- The one look-up without a policy: it turns something foreign (hashed) into a tenant.
CREATE TABLE doors (
  kind      text NOT NULL CHECK (kind IN ('bitrix24', 'amocrm', 'kommo', 'link', 'hook', 'api_key', 'crm_hook')),
  key_hash  bytea NOT NULL CHECK (length(key_hash) = 32),
  tenant    uuid NOT NULL REFERENCES tenants,
  ref       text NOT NULL DEFAULT '',
  PRIMARY KEY (kind, key_hash)
);

-- One-time tokens that were used; nothing of any tenant is in it.
CREATE TABLE spent (
  key_hash bytea PRIMARY KEY CHECK (length(key_hash) = 32),
  until    timestamptz NOT NULL
);
CREATE INDEX spent_until ON spent (until);

CREATE TABLE crm_tokens (
  tenant_id   uuid PRIMARY KEY REFERENCES tenants,
  access      bytea NOT NULL,         -- sealed
  refresh     bytea NOT NULL,         -- sealed
  app_token   bytea,                  -- sealed; Bitrix24's application_token, elsewhere the key in our webhook's address
  expires_at  timestamptz NOT NULL,
  version     bigint NOT NULL DEFAULT 1,
  endpoint    text NOT NULL,
  auth_server text NOT NULL DEFAULT '',
  api_domain  text NOT NULL DEFAULT '',
  scope       text NOT NULL DEFAULT '',
  user_id     text NOT NULL DEFAULT '',
  lease_owner uuid,                   -- who is refreshing now
  lease_until timestamptz,
  updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  id         uuid NOT NULL,
  name       text NOT NULL CHECK (name <> ''),
  role       text NOT NULL CHECK (role IN ('manager', 'accountant', 'admin')),
  hint       text NOT NULL,           -- last four characters
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE audit (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  id         bigint GENERATED ALWAYS AS IDENTITY,
  at         timestamptz NOT NULL DEFAULT now(),
  actor      text NOT NULL,
  action     text NOT NULL,
  deal_id    text NOT NULL DEFAULT '',
  invoice_id uuid,
  before     text NOT NULL DEFAULT '',
  after      text NOT NULL DEFAULT '',
  evidence   jsonb NOT NULL DEFAULT '{}',
  request_id text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_invoice ON audit (tenant_id, invoice_id, id) WHERE invoice_id IS NOT NULL;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Answers to repeated requests: which thing the first request with this key made.
CREATE TABLE idempotency (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  key        text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
  body_hash  bytea NOT NULL,
  ref        text NOT NULL,
  asked      bytea,                   -- hash of the whole request that got the answer
  status     int,
  answer     bytea,                   -- sealed; it may hold a link
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, key)
);

-- +goose Down
SELECT 1;
