-- +goose Up
-- Work that leaves the process, promised in the transaction that causes it.
CREATE TABLE outbox (
  tenant_id     uuid NOT NULL REFERENCES tenants,
  id            bigint GENERATED ALWAYS AS IDENTITY,
  kind          text NOT NULL,
  key           text NOT NULL,
  seq           bigint NOT NULL DEFAULT 1,
  attempts      int NOT NULL DEFAULT 0,
  due_at        timestamptz NOT NULL,
  failing_since timestamptz,
  claimed_by    uuid,
  claimed_until timestamptz,
  relayed_at    timestamptz,          -- when a reminder last went to Redis
  done_at       timestamptz,
  dead_at       timestamptz,
  last_error    text NOT NULL DEFAULT '',
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX outbox_one_open ON outbox (tenant_id, kind, key) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_due ON outbox (due_at) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_lane ON outbox (tenant_id, kind, due_at) WHERE done_at IS NULL AND dead_at IS NULL;

-- What is not idempotent at the CRM: planned with its cause, sent once in effect.
CREATE TABLE effects (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  key        text NOT NULL,
  deal_id    text NOT NULL CHECK (deal_id <> ''),
  kind       text NOT NULL CHECK (kind IN ('note', 'task', 'close_task')),
  reference  text NOT NULL,           -- stored with the effect in the CRM, so that a repeated run can find it
  body       jsonb NOT NULL,
  status     text NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'sending', 'sent', 'dropped')),
  remote_id  text NOT NULL DEFAULT '',
  last_error text NOT NULL DEFAULT '',
  planned_at timestamptz NOT NULL DEFAULT now(),
  sending_at timestamptz,
  sent_at    timestamptz,
  n          bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (tenant_id, key),
  CHECK (status <> 'sent' OR sent_at IS NOT NULL)
);
CREATE INDEX effects_open ON effects (tenant_id, deal_id, n) WHERE status IN ('planned', 'sending');
CREATE UNIQUE INDEX effects_reference ON effects (tenant_id, kind, reference);

CREATE TABLE deal_sync (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  deal_id    text NOT NULL,
  state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'written', 'failed')),
  written    jsonb,                   -- the last state the CRM took
  written_at timestamptz,
  reason     text NOT NULL DEFAULT '',
  next_try   timestamptz,
  PRIMARY KEY (tenant_id, deal_id)
);

-- One row for each CRM account: who drains it, and the wake-ups that the holder must see before letting go.
CREATE TABLE lanes (
  tenant_id    uuid PRIMARY KEY REFERENCES tenants,
  lease_owner  uuid,
  lease_until  timestamptz,
  wake         bigint NOT NULL DEFAULT 0,
  paused_until timestamptz,
  paused_why   text NOT NULL DEFAULT '',
  last_call_at timestamptz
);

-- +goose Down
SELECT 1;
