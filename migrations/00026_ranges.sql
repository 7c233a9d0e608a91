-- +goose Up
-- Some acquirers give each merchant a range of order numbers. How far it is used belongs to the merchant there, hashed, which
-- several tenants may have connected: two of them must not take the same number.
ALTER TABLE attempts ADD COLUMN order_number bigint CHECK (order_number > 0); -- in the merchant's range; number serves where there is none
CREATE INDEX attempts_order_number ON attempts (tenant_id, order_number) WHERE order_number IS NOT NULL;
CREATE TABLE ranges (
  merchant bytea PRIMARY KEY CHECK (octet_length(merchant) = 32),
  last     bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON ranges TO dealpay_app;

-- +goose Down
SELECT 1;
