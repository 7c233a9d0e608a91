-- +goose Up
-- Months that are closed: nothing is posted into them any more.
CREATE TABLE periods (
  tenant_id uuid NOT NULL REFERENCES tenants,
  month     date NOT NULL CHECK (extract(day FROM month) = 1),
  locked_at timestamptz NOT NULL,
  locked_by text NOT NULL,
  PRIMARY KEY (tenant_id, month)
);

-- Money as double entry: debits are positive, credits negative, and each transaction sums to nothing in each currency.
CREATE TABLE ledger_entries (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  id         bigint GENERATED ALWAYS AS IDENTITY,
  txn        uuid NOT NULL,
  line       int NOT NULL CHECK (line > 0), -- within the transaction
  at         timestamptz NOT NULL,    -- when it was written
  day        date NOT NULL,           -- what it belongs to, in the tenant's time zone; never in a locked month
  invoice_id uuid,                    -- null: of the acquirer's account as a whole (lump payouts and fees)
  deal_id    text NOT NULL DEFAULT '',
  attempt_id uuid,
  kind       text NOT NULL CHECK (kind IN ('capture', 'refund', 'refund_outside', 'chargeback', 'chargeback_won', 'chargeback_lost',
    'manual', 'manual_reversed', 'moved', 'write_off', 'fee', 'payout')),
  account    text NOT NULL CHECK (account ~ '^(acquirer:[a-z0-9_]+|receivable|unmatched|transfers|cash|customer_refunds|disputes|chargebacks|write_offs|fees|bank)$'),
  currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  minor      bigint NOT NULL CHECK (minor <> 0),
  ref        text NOT NULL DEFAULT '', -- the manual payment, refund or move, or the line of a register
  actor      text NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, txn, line),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices,
  FOREIGN KEY (tenant_id, attempt_id) REFERENCES attempts
);
CREATE INDEX ledger_day ON ledger_entries (tenant_id, day, id);
CREATE INDEX ledger_invoice ON ledger_entries (tenant_id, invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX ledger_deal ON ledger_entries (tenant_id, deal_id) WHERE deal_id <> '';
CREATE INDEX ledger_attempt ON ledger_entries (tenant_id, attempt_id) WHERE attempt_id IS NOT NULL;
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION append_only();
-- +goose StatementBegin
CREATE FUNCTION ledger_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- No row in sight (the transaction was bound to somebody else meanwhile) is as bad as a wrong sum.
  IF (SELECT sum(minor) FROM ledger_entries WHERE tenant_id = NEW.tenant_id AND txn = NEW.txn AND currency = NEW.currency) IS DISTINCT FROM 0 THEN
    RAISE EXCEPTION 'transaction % is not balanced in %', NEW.txn, NEW.currency USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER ledger_balanced AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION ledger_balanced();
-- +goose StatementBegin
CREATE FUNCTION ledger_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM periods WHERE tenant_id = NEW.tenant_id AND month >= date_trunc('month', NEW.day)) THEN
    RAISE EXCEPTION 'the month of % is locked', NEW.day USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_open BEFORE INSERT ON ledger_entries FOR EACH ROW EXECUTE FUNCTION ledger_open();

-- How to read the registers of an acquirer or bank.
CREATE TABLE register_mappings (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  acquirer   text NOT NULL,
  mapping    jsonb NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, acquirer)
);

CREATE TABLE registers (
  tenant_id   uuid NOT NULL REFERENCES tenants,
  id          uuid NOT NULL,
  acquirer    text NOT NULL,
  hash        bytea NOT NULL CHECK (length(hash) = 32),
  lines       int NOT NULL DEFAULT 0, -- new ones
  known       int NOT NULL DEFAULT 0, -- that an earlier register held already
  unmatched   int NOT NULL DEFAULT 0, -- payments and refunds that no attempt of ours explains
  first_day   date,
  last_day    date,
  imported_by text NOT NULL,
  imported_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, acquirer, hash)
);

CREATE TABLE register_lines (
  tenant_id    uuid NOT NULL,
  register_id  uuid NOT NULL,
  n            int NOT NULL CHECK (n > 0), -- line of the file
  acquirer     text NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('payment', 'refund', 'chargeback', 'payout', 'fee')),
  reference    text NOT NULL DEFAULT '', -- our order number
  provider_ref text NOT NULL DEFAULT '',
  attempt_id   uuid,
  day          date NOT NULL,         -- of settlement
  currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  minor        bigint NOT NULL CHECK (minor >= 0),
  fee          bigint NOT NULL DEFAULT 0, -- negative when it was given back
  dedupe       text NOT NULL,         -- the same line in a later, overlapping register
  PRIMARY KEY (tenant_id, register_id, n),
  UNIQUE (tenant_id, acquirer, dedupe),
  FOREIGN KEY (tenant_id, register_id) REFERENCES registers,
  FOREIGN KEY (tenant_id, attempt_id) REFERENCES attempts
);
CREATE INDEX register_lines_attempt ON register_lines (tenant_id, attempt_id) WHERE attempt_id IS NOT NULL;
CREATE INDEX register_lines_day ON register_lines (tenant_id, acquirer, day);

-- How attempts are found by what registers say, and by their day.
CREATE INDEX attempts_number ON attempts (tenant_id, number);
CREATE INDEX attempts_day ON attempts (tenant_id, acquirer, created_at);

-- One comparison of acquirer, ledger and CRM for each day and acquirer; repeating it continues the same row.
CREATE TABLE reconciliations (
  tenant_id   uuid NOT NULL REFERENCES tenants,
  id          uuid NOT NULL,
  day         date NOT NULL,
  acquirer    text NOT NULL,
  state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done')),
  total       int NOT NULL DEFAULT 0,  -- attempts to compare
  checked     int NOT NULL DEFAULT 0,  -- of them so far
  cursor      uuid,                    -- the last one
  repaired    int NOT NULL DEFAULT 0,  -- attempts of which this run learnt something new
  unanswered  int NOT NULL DEFAULT 0,  -- attempts about which the acquirer could not be asked
  crm_skipped text NOT NULL DEFAULT '', -- why the CRM was not compared; a code
  asked_by    text NOT NULL,
  started_at  timestamptz,
  finished_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, day, acquirer)
);

CREATE TABLE mismatches (
  tenant_id   uuid NOT NULL,
  run_id      uuid NOT NULL,
  n           int NOT NULL CHECK (n > 0),
  key         text NOT NULL,           -- what it is about: one that is not closed for each
  kind        text NOT NULL CHECK (kind IN ('missing_at_acquirer', 'missing_here', 'amount_differs', 'currency_differs', 'refund_differs',
    'status_differs', 'crm_differs')),
  attempt_id  uuid,
  deal_id     text NOT NULL DEFAULT '',
  reference   text NOT NULL DEFAULT '',
  ours        text NOT NULL DEFAULT '', -- what we hold
  theirs      text NOT NULL DEFAULT '', -- what the other side says
  source      text NOT NULL CHECK (source IN ('acquirer', 'register', 'crm')),
  owner       text NOT NULL,            -- a role, or who took it on
  state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'explained', 'closed')),
  reason      text NOT NULL DEFAULT '',
  found_at    timestamptz NOT NULL,
  changed_at  timestamptz,
  changed_by  text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, run_id, n),
  FOREIGN KEY (tenant_id, run_id) REFERENCES reconciliations,
  FOREIGN KEY (tenant_id, attempt_id) REFERENCES attempts,
  CHECK (state = 'open' OR reason <> '')
);
CREATE UNIQUE INDEX mismatches_one_standing ON mismatches (tenant_id, key) WHERE state <> 'closed';

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['periods', 'ledger_entries', 'register_mappings', 'registers', 'register_lines', 'reconciliations', 'mismatches'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO dealpay_app', t);
  END LOOP;
END $$;
-- +goose StatementEnd
REVOKE UPDATE ON ledger_entries FROM dealpay_app;

-- +goose Down
SELECT 1;
