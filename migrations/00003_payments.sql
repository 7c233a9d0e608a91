-- +goose Up
CREATE TABLE connections (
  tenant_id   uuid NOT NULL REFERENCES tenants,
  id          uuid NOT NULL,
  acquirer    text NOT NULL,
  credentials bytea NOT NULL,         -- sealed
  hook_key    bytea NOT NULL,         -- sealed; the door keeps its hash
  test        boolean NOT NULL DEFAULT false,
  main        boolean NOT NULL DEFAULT true,
  checked_at  timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now(),
  retired_at  timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX connections_one_live ON connections (tenant_id, acquirer) WHERE retired_at IS NULL;

CREATE TABLE invoices (
  tenant_id   uuid NOT NULL REFERENCES tenants,
  id          uuid NOT NULL,
  number      text NOT NULL,          -- short, for people and for CRM notes
  deal_id     text NOT NULL CHECK (deal_id <> ''),
  minor       bigint NOT NULL CHECK (minor > 0 AND minor <= 1000000000000),
  currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  purpose     text NOT NULL,
  acquirer    text NOT NULL DEFAULT '', -- empty: the tenant's main one
  status      text NOT NULL DEFAULT 'awaiting_payment' CHECK (status IN ('awaiting_payment', 'paid', 'payment_failed',
    'expired', 'cancelled', 'manual_review', 'partially_refunded', 'refunded', 'disputed')),
  paid        bigint NOT NULL DEFAULT 0 CHECK (paid >= 0),
  refunded    bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0),
  outstanding bigint NOT NULL CHECK (outstanding >= 0),
  paid_at     timestamptz,
  refunded_at timestamptz,
  reference   text NOT NULL DEFAULT '', -- the acquirer's, of the newest payment
  expires_at  timestamptz NOT NULL,
  locked_at   timestamptz,            -- first sent: terms cannot change any more
  owner_id    text NOT NULL DEFAULT '', -- the deal's owner when last seen
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, number),
  CHECK (status <> 'paid' OR outstanding = 0)
);
CREATE INDEX invoices_deal ON invoices (tenant_id, deal_id);
-- +goose StatementBegin
CREATE FUNCTION invoice_locked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.locked_at IS NOT NULL AND (NEW.minor, NEW.currency, NEW.purpose, NEW.expires_at, NEW.locked_at)
      IS DISTINCT FROM (OLD.minor, OLD.currency, OLD.purpose, OLD.expires_at, OLD.locked_at) THEN
    RAISE EXCEPTION 'the invoice was sent: its terms are locked' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF (NEW.deal_id, NEW.number) IS DISTINCT FROM (OLD.deal_id, OLD.number) THEN
    RAISE EXCEPTION 'an invoice stays with its deal' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER invoices_locked BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION invoice_locked();

CREATE TABLE links (
  tenant_id  uuid NOT NULL,
  id         uuid NOT NULL,
  invoice_id uuid NOT NULL,
  token      bytea NOT NULL,          -- sealed; the door keeps its hash
  created_at timestamptz NOT NULL DEFAULT now(),
  retired_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices
);
CREATE UNIQUE INDEX links_one_live ON links (tenant_id, invoice_id) WHERE retired_at IS NULL;

CREATE TABLE sends (
  tenant_id  uuid NOT NULL,
  id         uuid NOT NULL,
  invoice_id uuid NOT NULL,
  channel    text NOT NULL CHECK (channel IN ('copy', 'email', 'sms', 'whatsapp', 'telegram', 'viber', 'crm')),
  recipient  bytea,                   -- sealed
  sent_by    text NOT NULL,
  at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices
);
CREATE INDEX sends_invoice ON sends (tenant_id, invoice_id);

CREATE TABLE attempts (
  tenant_id     uuid NOT NULL,
  id            uuid NOT NULL,
  invoice_id    uuid NOT NULL,
  seq           int NOT NULL CHECK (seq > 0),
  connection_id uuid NOT NULL,
  acquirer      text NOT NULL,
  reference     text NOT NULL,        -- our order number at the acquirer
  number        bigint GENERATED ALWAYS AS IDENTITY, -- the same for acquirers that take integers only
  provider_ref  text NOT NULL DEFAULT '',
  minor         bigint NOT NULL CHECK (minor > 0),
  currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  status        text NOT NULL DEFAULT 'created' CHECK (status IN ('created', 'pending', 'authorized', 'paid', 'failed', 'expired', 'cancelled')),
  captured      bigint NOT NULL DEFAULT 0 CHECK (captured >= 0),
  refunded      bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0),
  checkout      bytea,                -- sealed; where to send the customer
  deadline      timestamptz,          -- when the acquirer closes the checkout
  paid_at       timestamptz,          -- the acquirer's own word, for display
  returned_at   timestamptz,          -- when the customer last came back from the acquirer's page; proves nothing
  checks        int NOT NULL DEFAULT 0,
  checked_at    timestamptz,
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices,
  FOREIGN KEY (tenant_id, connection_id) REFERENCES connections,
  UNIQUE (tenant_id, invoice_id, seq),
  UNIQUE (tenant_id, connection_id, reference)
);
CREATE UNIQUE INDEX attempts_provider_ref ON attempts (tenant_id, connection_id, provider_ref) WHERE provider_ref <> '';

CREATE TABLE notices (
  tenant_id     uuid NOT NULL,
  id            uuid NOT NULL,
  connection_id uuid NOT NULL,
  key           text NOT NULL,
  reference     text NOT NULL DEFAULT '',
  provider_ref  text NOT NULL DEFAULT '',
  authentic     boolean NOT NULL,
  raw           bytea NOT NULL,       -- sealed
  received_at   timestamptz NOT NULL,
  times         int NOT NULL DEFAULT 1,
  attempt_id    uuid,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, connection_id, key),
  FOREIGN KEY (tenant_id, connection_id) REFERENCES connections
);

CREATE TABLE facts (
  tenant_id  uuid NOT NULL,
  id         bigint GENERATED ALWAYS AS IDENTITY,
  invoice_id uuid NOT NULL,
  kind       text NOT NULL,
  at         timestamptz NOT NULL,    -- when verified or decided
  attempt_id uuid,
  seq        int NOT NULL DEFAULT 0,
  status     text NOT NULL DEFAULT '',
  minor      bigint NOT NULL DEFAULT 0 CHECK (minor >= 0),
  currency   text NOT NULL DEFAULT '',
  alien      boolean NOT NULL DEFAULT false, -- another merchant or order than ours
  ref        text NOT NULL DEFAULT '',
  decision   text NOT NULL DEFAULT '',
  evidence   jsonb NOT NULL DEFAULT '{}',
  dedupe     text NOT NULL,           -- the same fact learnt twice is one row
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, invoice_id, dedupe),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices,
  FOREIGN KEY (tenant_id, attempt_id) REFERENCES attempts
);
CREATE TRIGGER facts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON facts FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TABLE refunds (
  tenant_id  uuid NOT NULL,
  id         uuid NOT NULL,
  invoice_id uuid NOT NULL,
  attempt_id uuid NOT NULL,
  minor      bigint NOT NULL CHECK (minor > 0),
  currency   text NOT NULL,
  reason     text NOT NULL CHECK (reason <> ''),
  status     text NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'sending', 'done', 'refused', 'unknown')),
  before     bigint NOT NULL DEFAULT 0, -- what the acquirer had given back already when we sent
  asked_by   text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  sent_at    timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices,
  FOREIGN KEY (tenant_id, attempt_id) REFERENCES attempts
);
-- One at a time for one attempt: the acquirer's total then tells what became of it.
CREATE UNIQUE INDEX refunds_one_open ON refunds (tenant_id, attempt_id) WHERE status IN ('requested', 'sending', 'unknown');

CREATE TABLE exceptions (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  id         uuid NOT NULL,
  kind       text NOT NULL,
  key        text NOT NULL,           -- one open exception for each
  deal_id    text NOT NULL DEFAULT '',
  invoice_id uuid,
  attempt_id uuid,
  minor      bigint NOT NULL DEFAULT 0,
  currency   text NOT NULL DEFAULT '',
  reference  text NOT NULL DEFAULT '',
  opened_at  timestamptz NOT NULL,
  closed_at  timestamptz,
  closed_by  text NOT NULL DEFAULT '',
  decision   text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX exceptions_one_open ON exceptions (tenant_id, key) WHERE closed_at IS NULL;
CREATE INDEX exceptions_deal ON exceptions (tenant_id, deal_id) WHERE closed_at IS NULL;

-- +goose Down
SELECT 1;
