-- +goose Up
-- A deal's push by its key, open or given up: how far the deal is behind.
CREATE INDEX outbox_key ON outbox (tenant_id, kind, key) WHERE done_at IS NULL;

-- +goose Down
SELECT 1;
