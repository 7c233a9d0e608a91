-- +goose Up
-- Since when an acquirer refuses the credentials of this connection; null while it takes them, and where nobody has asked since.
ALTER TABLE connections ADD COLUMN refused_at timestamptz;

-- +goose Down
SELECT 1;
