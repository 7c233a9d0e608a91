-- +goose Up
-- When somebody who waits on the pay page last made us ask: it is claimed before the question, so that many who wait at once ask once.
ALTER TABLE attempts ADD COLUMN glanced_at timestamptz;

-- +goose Down
SELECT 1;
