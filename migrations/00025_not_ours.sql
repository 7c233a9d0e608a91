-- +goose Up
-- A person may say that money under review is not the merchant's: the invoice's claim is open again.
ALTER TABLE ledger_entries
  DROP CONSTRAINT ledger_entries_kind_check,
  ADD CONSTRAINT ledger_entries_kind_check CHECK (kind IN ('capture', 'refund', 'refund_outside', 'chargeback', 'chargeback_won', 'chargeback_lost',
    'manual', 'manual_reversed', 'moved', 'not_ours', 'write_off', 'fee', 'payout'));

-- +goose Down
SELECT 1;
