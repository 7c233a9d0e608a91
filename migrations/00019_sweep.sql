-- +goose Up
-- The relay looks for the first due promise of each account where one reminder answers all of a kind, and for everything that is
-- due of the other kinds. Neither look may pass over the ten thousand that one account may have waiting.
DROP INDEX outbox_due;
DROP INDEX outbox_lane;
CREATE INDEX outbox_due ON outbox (due_at) WHERE done_at IS NULL AND dead_at IS NULL AND kind NOT IN ('push', 'review');
CREATE INDEX outbox_lane ON outbox (kind, tenant_id, due_at) WHERE done_at IS NULL AND dead_at IS NULL;

-- +goose Down
SELECT 1;
