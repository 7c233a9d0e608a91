-- +goose Up
-- How long an effect whose call did not end may still happen in the CRM; until then it is neither looked for nor repeated.
ALTER TABLE effects ADD COLUMN doubt_until timestamptz;

-- What was given up is looked for at every push.
CREATE INDEX outbox_dead ON outbox (tenant_id, kind, key) WHERE dead_at IS NOT NULL AND done_at IS NULL;

-- +goose Down
SELECT 1;
