-- +goose Up
-- The whole life of money: routes, plans and replaced links, conversion, refunds that a second person approves or that are
-- made by hand, e-mail, fiscal receipts.
ALTER TABLE invoices
  ADD pipeline       text NOT NULL DEFAULT '', -- of the deal when it was invoiced; routes look at it
  ADD part           text NOT NULL DEFAULT '' CHECK (part IN ('', 'deposit', 'remainder', 'instalment')),
  ADD due_at         timestamptz,              -- of an instalment; the link lives longer
  ADD replaces       uuid,                     -- an earlier invoice for the same debt, whose link it retired
  ADD plan_id        uuid,                     -- of invoices that were made together
  ADD claim_minor    bigint CHECK (claim_minor > 0), -- what it settles of the deal, where that has another currency
  ADD claim_currency text CHECK (claim_currency ~ '^[A-Z]{3}$'),
  ADD rate           text NOT NULL DEFAULT '', -- units of currency for one of claim_currency
  ADD rate_from      text NOT NULL DEFAULT '' CHECK (rate_from IN ('', 'manager', 'table')),
  ADD deal_minor     bigint,                   -- the deal's whole amount in the CRM when it was invoiced
  ADD deal_currency  text NOT NULL DEFAULT '',
  ADD FOREIGN KEY (tenant_id, replaces) REFERENCES invoices,
  ADD CHECK ((claim_minor IS NULL) = (rate = '') AND (claim_minor IS NULL) = (claim_currency IS NULL) AND (rate = '') = (rate_from = ''));
-- +goose StatementBegin
CREATE FUNCTION invoice_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.locked_at IS NOT NULL AND (NEW.claim_minor, NEW.claim_currency, NEW.rate, NEW.due_at)
      IS DISTINCT FROM (OLD.claim_minor, OLD.claim_currency, OLD.rate, OLD.due_at) THEN
    RAISE EXCEPTION 'the invoice was sent: its rate is frozen' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER invoices_frozen BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION invoice_frozen();

ALTER TABLE attempts
  ADD reserved_until timestamptz, -- the acquirer asked whether it may take the money, and was told yes
  ADD held_at        timestamptz; -- money was first seen held and not captured

ALTER TABLE notices ADD outcome text NOT NULL DEFAULT 'accepted' CHECK (outcome IN ('accepted', 'rejected'));

ALTER TABLE refunds
  ADD method      text NOT NULL DEFAULT 'api' CHECK (method IN ('api', 'transfer', 'cash')),
  ADD reference   text NOT NULL DEFAULT '', -- of a transfer or a cash order
  ADD approved_by text NOT NULL DEFAULT '',
  ADD approved_at timestamptz,
  DROP CONSTRAINT refunds_status_check,
  ADD CONSTRAINT refunds_status_check CHECK (status IN ('waiting', 'requested', 'sending', 'done', 'refused', 'unknown')),
  ADD CHECK (approved_by = '' OR approved_by <> asked_by),
  ADD CHECK (method = 'api' OR reference <> '');
DROP INDEX refunds_one_open;
CREATE UNIQUE INDEX refunds_one_open ON refunds (tenant_id, attempt_id) WHERE status IN ('waiting', 'requested', 'sending', 'unknown');
CREATE INDEX refunds_invoice ON refunds (tenant_id, invoice_id);

ALTER TABLE sends
  ADD state    text NOT NULL DEFAULT 'logged' CHECK (state IN ('logged', 'waiting', 'sending', 'sent', 'failed', 'unclear')),
  ADD failure  text NOT NULL DEFAULT '', -- a code
  ADD language text NOT NULL DEFAULT '',
  ADD sent_at  timestamptz;

CREATE TABLE mailboxes (
  tenant_id  uuid PRIMARY KEY REFERENCES tenants,
  host       text NOT NULL CHECK (host <> ''),
  port       int NOT NULL CHECK (port BETWEEN 1 AND 65535),
  security   text NOT NULL CHECK (security IN ('tls', 'starttls', 'none')),
  username   text NOT NULL DEFAULT '',
  password   bytea,                    -- sealed
  sender     text NOT NULL CHECK (sender <> ''),
  name       text NOT NULL DEFAULT '',
  checked_at timestamptz NOT NULL,
  removed_at timestamptz
);

-- What the cash register said of a payment. A mistake is corrected by a later line.
CREATE TABLE fiscal_receipts (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  id         uuid NOT NULL,
  invoice_id uuid NOT NULL,
  payment    uuid NOT NULL,            -- the attempt, or the payment that a person recorded
  number     text NOT NULL CHECK (number <> ''),
  kind       text NOT NULL CHECK (kind IN ('advance', 'final', 'refund')),
  state      text NOT NULL CHECK (state IN ('pending', 'issued', 'failed', 'void')),
  reason     text NOT NULL DEFAULT '',
  noted_by   text NOT NULL,
  noted_at   timestamptz NOT NULL,
  n          bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices
);
CREATE INDEX fiscal_receipts_payment ON fiscal_receipts (tenant_id, payment, n);
CREATE TRIGGER fiscal_receipts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fiscal_receipts
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['mailboxes', 'fiscal_receipts'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())', t);
    EXECUTE format('GRANT SELECT, INSERT ON %I TO dealpay_app', t);
  END LOOP;
END $$;
-- +goose StatementEnd
GRANT UPDATE ON mailboxes TO dealpay_app;

-- +goose Down
SELECT 1;
