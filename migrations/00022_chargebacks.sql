-- +goose Up
-- Chargebacks that a register names are compared, too.
ALTER TABLE mismatches DROP CONSTRAINT mismatches_kind_check;
ALTER TABLE mismatches ADD CONSTRAINT mismatches_kind_check CHECK (kind IN ('missing_at_acquirer', 'missing_here', 'amount_differs', 'currency_differs',
  'refund_differs', 'chargeback_differs', 'status_differs', 'crm_differs'));

-- +goose Down
SELECT 1;
