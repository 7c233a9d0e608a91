-- +goose Up
-- Lines of a register whose kind no mapping named: how many of each word, so that nothing is lost silently.
ALTER TABLE registers ADD skipped jsonb NOT NULL DEFAULT '{}';

-- What an acquirer said that this merchant may not do; new credentials clear it.
ALTER TABLE connections ADD denied text[] NOT NULL DEFAULT '{}' CHECK (denied <@ ARRAY['refund', 'reversal']);

-- +goose Down
SELECT 1;
