-- +goose Up
-- A refund that was recorded by hand is taken back by a counter-entry, and stands among what persons said about money; so does
-- an orphan's money that was moved to an invoice: no other invoice has a fact about it.
ALTER TABLE refunds
  DROP CONSTRAINT refunds_status_check,
  ADD CONSTRAINT refunds_status_check CHECK (status IN ('waiting', 'requested', 'sending', 'done', 'refused', 'unknown', 'undone'));
DROP INDEX facts_by_hand;
CREATE INDEX facts_by_hand ON facts (tenant_id, id DESC)
  WHERE kind IN ('resolved', 'moved_out', 'received', 'given_back') OR (kind = 'moved_in' AND evidence->>'orphan' IS NOT NULL);

-- +goose Down
SELECT 1;
