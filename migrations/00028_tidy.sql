-- +goose Up
-- When a deal is tried next stands in its promise.
ALTER TABLE deal_sync DROP COLUMN next_try;

-- +goose Down
SELECT 1;
