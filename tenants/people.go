package tenants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Person is a user of the CRM who opened one of our pages there.
type Person struct {
	ID        string    `db:"user_id"`
	Name      string    `db:"name"`
	Role      Role      `db:"role"`  // that an administrator gave
	Chief     bool      `db:"chief"` // an administrator of the CRM, who is one here too
	SeenAt    time.Time `db:"seen_at"`
	ChangedBy Actor     `db:"changed_by"`
}

// May is what the person may do.
func (p Person) May() Role {
	if p.Chief {
		return Admin
	}
	return p.Role
}

const personColumns = `user_id, name, role, chief, seen_at, changed_by`

// seenEvery is how exactly it is kept when somebody was here, so that few openings write.
const seenEvery = time.Hour

// Meet notes who has come and returns them with the role they were given before.
func (tx *Tx) Meet(ctx context.Context, p Person) (Person, error) {
	was, err := tx.person(ctx, p.ID)
	known := err == nil
	switch {
	case known && (was.Name == p.Name || p.Name == "") && was.Chief == p.Chief && p.SeenAt.Sub(was.SeenAt) < seenEvery:
		return was, nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return p, err
	}
	p, err = Row[Person](ctx, tx, `INSERT INTO people (tenant_id, user_id, name, chief, seen_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant_id, user_id) DO UPDATE SET name = coalesce(nullif(excluded.name, ''), people.name), chief = excluded.chief, seen_at = excluded.seen_at
		RETURNING `+personColumns, tx.tenant.String(), p.ID, p.Name, p.Chief, p.SeenAt)
	if err != nil {
		return p, fmt.Errorf("meet a person: %w", err)
	}
	return p, nil
}

func (tx *Tx) person(ctx context.Context, id string) (Person, error) {
	return Row[Person](ctx, tx, `SELECT `+personColumns+` FROM people WHERE user_id = $1`, id)
}

// People lists who was here, by name.
func (tx *Tx) People(ctx context.Context) ([]Person, error) {
	return Rows[Person](ctx, tx, `SELECT `+personColumns+` FROM people ORDER BY lower(name), user_id`)
}

// SetRole gives a person a role. Error: pgx.ErrNoRows when nobody with this id was here.
func (tx *Tx) SetRole(ctx context.Context, id string, role Role, by Actor, now time.Time) (Person, error) {
	was, err := tx.person(ctx, id)
	if err != nil || was.Role == role {
		return was, err
	}
	p, err := Row[Person](ctx, tx, `UPDATE people SET role = $2, changed_by = $3 WHERE user_id = $1 RETURNING `+personColumns, id, string(role), string(by))
	if err == nil {
		err = tx.Audit(ctx, Entry{At: now, Actor: by, Action: "person.role"}, map[string]string{"user": id, "before": string(was.Role), "after": string(role)})
	}
	return p, err
}
