-- +goose Up
-- What somebody changed in the CRM of what we had written, and what we do about it.
ALTER TABLE deal_sync
  ADD COLUMN overwritten    text[],                          -- names of fields, and "stage"; NULL when nothing was
  ADD COLUMN overwritten_at timestamptz,
  ADD COLUMN repaired       boolean NOT NULL DEFAULT false,  -- it is written again; else it is left
  ADD COLUMN repairs        int NOT NULL DEFAULT 0,          -- one soon after the other
  ADD COLUMN rewrite        boolean NOT NULL DEFAULT false,  -- the next push writes the fields also when they are the same
  ADD COLUMN remove         boolean NOT NULL DEFAULT false;  -- and moves the deal to its stage again

-- The last calls of a lane, newest first, for people to see.
ALTER TABLE lanes ADD COLUMN calls jsonb NOT NULL DEFAULT '[]';

-- +goose Down
SELECT 1;
