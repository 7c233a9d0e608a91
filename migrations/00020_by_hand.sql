-- +goose Up
-- What persons said about money is listed newest first, past the many facts that acquirers told.
CREATE INDEX facts_by_hand ON facts (tenant_id, id DESC) WHERE kind IN ('resolved', 'moved_out', 'received');

-- +goose Down
SELECT 1;
