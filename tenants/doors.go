package tenants

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Door is a kind of thing that outsiders know and that leads to a tenant.
type Door string

// The doors. Those named after a CRM take the account's permanent key.
const (
	LinkDoor    Door = "link"     // token of a payment link; ref is the invoice
	HookDoor    Door = "hook"     // key in an acquirer's notice address; ref is the connection
	APIKeyDoor  Door = "api_key"  // ref is the key's id
	CRMHookDoor Door = "crm_hook" // key in the address a CRM's events come to
)

// ErrNoDoor is returned for a key that leads nowhere.
var ErrNoDoor = errors.New("tenants: no such door")

// Some returns a few tenants, any of them.
func (db *DB) Some(ctx context.Context, n int) ([]ID, error) {
	rows, err := db.app.Query(ctx, `SELECT tenant::text FROM doors WHERE kind IN ('bitrix24', 'amocrm', 'kommo') LIMIT $1`, n)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ID, error) {
		var text string
		if err := row.Scan(&text); err != nil {
			return ID{}, err
		}
		return Restore(text)
	})
}

func hash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// Enter turns a key into the tenant it belongs to and what it refers to there. Error: ErrNoDoor.
func (db *DB) Enter(ctx context.Context, door Door, key string) (ID, string, error) {
	var tenant, ref string
	err := db.alive(ctx, func() (bool, error) {
		return true, db.app.QueryRow(ctx, `SELECT tenant::text, ref FROM doors WHERE kind = $1 AND key_hash = $2`, string(door), hash(key)).Scan(&tenant, &ref)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return ID{}, "", ErrNoDoor
	}
	if err != nil {
		return ID{}, "", fmt.Errorf("look up door: %w", err)
	}
	id, err := Restore(tenant)
	return id, ref, err
}

// OpenDoor makes key lead to the transaction's tenant. A key that already leads to another tenant is an error.
func (tx *Tx) OpenDoor(ctx context.Context, door Door, key, ref string) error {
	tag, err := tx.Exec(ctx, `INSERT INTO doors (kind, key_hash, tenant, ref) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, key_hash) DO UPDATE SET ref = excluded.ref WHERE doors.tenant = excluded.tenant`,
		string(door), hash(key), tx.tenant.String(), ref)
	if err != nil {
		return fmt.Errorf("open door: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("open door: this %s key belongs to another tenant", door)
	}
	return nil
}

// CloseDoors removes the tenant's doors of this kind that refer to ref.
func (tx *Tx) CloseDoors(ctx context.Context, door Door, ref string) error {
	_, err := tx.Exec(ctx, `DELETE FROM doors WHERE kind = $1 AND tenant = $2 AND ref = $3`, string(door), tx.tenant.String(), ref)
	return err
}

// Spend marks a one-time token as used until it expires, and says whether it was fresh.
func (db *DB) Spend(ctx context.Context, token string, until, now time.Time) (bool, error) {
	if _, err := db.app.Exec(ctx, `DELETE FROM spent WHERE until < $1`, now); err != nil {
		return false, err
	}
	tag, err := db.app.Exec(ctx, `INSERT INTO spent (key_hash, until) VALUES ($1, $2) ON CONFLICT DO NOTHING`, hash(token), until)
	return err == nil && tag.RowsAffected() == 1, err
}

// ErrOtherBody is returned when an idempotency key comes again with another request.
var ErrOtherBody = errors.New("tenants: this idempotency key was used for another request")

// Once notes that the request with this key makes ref. When an earlier request with the same key and body made
// something, it returns that instead, with seen true. Error: ErrOtherBody. An empty key is always new.
func (tx *Tx) Once(ctx context.Context, key string, body []byte, ref string) (earlier string, seen bool, err error) {
	if key == "" {
		return ref, false, nil
	}
	sum := sha256.Sum256(body)
	tag, err := tx.Exec(ctx, `INSERT INTO idempotency (tenant_id, key, body_hash, ref) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		tx.tenant.String(), key, sum[:], ref)
	if err != nil || tag.RowsAffected() == 1 {
		return ref, false, err
	}
	return tx.Seen(ctx, key, body)
}

// Seen tells what an earlier request with this key made, if there was one. Error: ErrOtherBody.
func (tx *Tx) Seen(ctx context.Context, key string, body []byte) (earlier string, seen bool, err error) {
	sum := sha256.Sum256(body)
	var same bool
	err = tx.QueryRow(ctx, `SELECT ref, body_hash = $2 FROM idempotency WHERE key = $1`, key, sum[:]).Scan(&earlier, &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", false, nil
	case err == nil && !same:
		err = ErrOtherBody
	}
	return earlier, true, err
}

// Answer is what a request got.
type Answer struct {
	Status int
	Body   []byte
}

// Answered returns what the first request with this key got; zero when there is none, or its answer was not kept.
// asked is the hash of the whole request. Error: ErrOtherBody when the key was used for another one.
func (tx *Tx) Answered(ctx context.Context, key string, asked []byte) (Answer, error) {
	var a Answer
	var sealed, earlier []byte
	err := tx.QueryRow(ctx, `SELECT asked, status, answer FROM idempotency WHERE key = $1 AND answer IS NOT NULL`, key).Scan(&earlier, &a.Status, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return Answer{}, nil
	}
	if err == nil && !bytes.Equal(earlier, asked) {
		err = ErrOtherBody
	}
	if err != nil {
		return Answer{}, err
	}
	a.Body, err = tx.Open("answer", sealed)
	return a, err
}

// KeepAnswer keeps what the request with this key got, once.
func (tx *Tx) KeepAnswer(ctx context.Context, key string, asked []byte, a Answer) error {
	sealed, err := tx.Seal("answer", a.Body)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE idempotency SET asked = $2, status = $3, answer = $4 WHERE key = $1 AND answer IS NULL`, key, asked, a.Status, sealed)
	return err
}
