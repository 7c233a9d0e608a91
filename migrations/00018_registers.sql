-- +goose Up
-- Lines of a register whose kind no mapping named: how many of each word, so that nothing is lost silently.
ALTER TABLE registers ADD skipped jsonb NOT NULL DEFAULT '{}';

-- +goose Down
SELECT 1;
