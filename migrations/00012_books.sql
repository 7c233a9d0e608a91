-- +goose Up
-- Who an invoice is for, as the CRM numbers its customers; the name stays there.
ALTER TABLE invoices ADD customer text NOT NULL DEFAULT '';

-- +goose Down
SELECT 1;
