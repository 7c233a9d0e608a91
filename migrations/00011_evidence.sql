-- +goose Up
-- The notices of an attempt, newest last: which of them made us ask is kept with what was learnt.
CREATE INDEX notices_attempt ON notices (tenant_id, attempt_id, received_at) WHERE attempt_id IS NOT NULL;

-- +goose Down
SELECT 1;
