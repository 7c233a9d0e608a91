-- +goose Up
-- busy: the acquirer says that a payment has begun, which is less than that it holds the money.
-- turn: an attempt that the customer came back to counts as newer than those begun since; equal turns are in the order of seq.
ALTER TABLE attempts
  ADD busy bool NOT NULL DEFAULT false,
  ADD turn int  NOT NULL DEFAULT 0;

-- +goose Down
SELECT 1;
