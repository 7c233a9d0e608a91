package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Status says whether we may work for a tenant.
type Status string

// The statuses of a tenant.
const (
	Active      Status = "active"
	Revoked     Status = "revoked"     // the CRM refuses our tokens: work is kept until somebody reconnects
	Uninstalled Status = "uninstalled" // the app was removed
)

// Tenant is one connected CRM account.
type Tenant struct {
	ID         ID              `db:"-"`
	CRM        string          `db:"crm"`
	AccountKey string          `db:"account_key"` // permanent
	Domain     string          `db:"domain"`      // today's host
	Name       string          `db:"name"`
	Status     Status          `db:"status"`
	StatusWhy  string          `db:"status_why"`
	Enterprise bool            `db:"enterprise"`
	Layout     json.RawMessage `db:"layout"`
	Settings   Settings        `db:"settings"`
	CreatedAt  time.Time       `db:"created_at"`
}

// Settings is what an administrator may change.
type Settings struct {
	Language  string                       `json:"language"`   // of notes and tasks in the CRM: en, ru, hy
	TimeZone  string                       `json:"time_zone"`  // IANA name
	LinkHours int                          `json:"link_hours"` // how long a link can be paid
	Merchant  string                       `json:"merchant"`   // name on the pay page
	Accent    string                       `json:"accent"`     // #rrggbb on the pay page
	Stages    map[string]map[string]string `json:"stages"`     // pipeline → status → stage to move to
	Payments  PaymentSettings              `json:"payments"`

	// Where values are written that do not go to our own fields, and the types of these fields as the CRM named them.
	Fields     map[string]map[string]string `json:"fields,omitempty"` // pipeline → value → field, or "-" for nowhere
	FieldTypes map[string]string            `json:"field_types,omitempty"`

	// What is done about fields and stages that somebody overwrote in the CRM; empty is the default of each.
	OverwrittenFields Repair `json:"overwritten_fields,omitempty"`
	OverwrittenStage  Repair `json:"overwritten_stage,omitempty"`
}

// Repair says whether what was overwritten by hand is written again or only shown.
type Repair string

// The ways.
const (
	DoRepair Repair = "repair"
	LetBe    Repair = "leave"
)

// RepairsFields says whether fields are written again; by default they are, because nobody else should write them.
func (s Settings) RepairsFields() bool { return s.OverwrittenFields != LetBe }

// RepairsStage says whether a deal is moved to its stage again; by default it is not, because people move deals on.
func (s Settings) RepairsStage() bool { return s.OverwrittenStage == DoRepair }

// PaymentSettings is how money is taken and given back. The zero value is a tenant that needs none of it.
type PaymentSettings struct {
	Routes       []Route             `json:"routes"`        // the first that fits decides; without one every connected acquirer is offered
	Rates        map[string]string   `json:"rates"`         // "USD/AMD" → dram for a dollar, as decimal text
	RefundLimits map[string]int64    `json:"refund_limits"` // by currency, minor units: a larger refund needs a second person
	Templates    map[string]Template `json:"templates"`     // message that carries a link, by language
	DealTitle    bool                `json:"deal_title"`    // a new link's purpose is the deal's title, which may hold private words
}

// Route says which acquirers take what. An empty member fits everything.
type Route struct {
	Currency  string   `json:"currency"`
	Pipeline  string   `json:"pipeline"`
	Acquirers []string `json:"acquirers"` // in the order they are offered
}

// Template is a message with {merchant}, {amount}, {purpose}, {number}, {until} and {link}.
type Template struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// WithDefaults fills what was never set: 72 hours, English, Yerevan's time.
func (s Settings) WithDefaults() Settings {
	if s.Language == "" {
		s.Language = "en"
	}
	if s.TimeZone == "" {
		s.TimeZone = "Asia/Yerevan"
	}
	if s.LinkHours == 0 {
		s.LinkHours = 72
	}
	return s
}

// Zone is where the tenant's days begin and end; UTC when the name of its time zone is unknown here.
func (s Settings) Zone() *time.Location {
	zone, err := time.LoadLocation(s.WithDefaults().TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// Day is the tenant's calendar day at t, as midnight UTC of that date.
func (s Settings) Day(t time.Time) time.Time {
	year, month, day := t.In(s.Zone()).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// Join finds the tenant of a CRM account or makes one, gives it the account's present domain and name, and opens its
// door. It is called only after the CRM itself confirmed the account.
func (db *DB) Join(ctx context.Context, system, accountKey, domain, name string) (ID, error) {
	id, _, err := db.Enter(ctx, Door(system), accountKey)
	if errors.Is(err, ErrNoDoor) {
		id = ID{NewUUID()}
		err = db.In(ctx, id, func(ctx context.Context, tx *Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO tenants (tenant_id, crm, account_key, domain, name) VALUES ($1, $2, $3, $4, $5)`,
				id.String(), system, accountKey, domain, name); err != nil {
				return err
			}
			return tx.OpenDoor(ctx, Door(system), accountKey, "")
		})
		if err != nil { // somebody else may have been faster
			if id, _, again := db.Enter(ctx, Door(system), accountKey); again == nil {
				return id, nil
			}
		}
	} else if err == nil {
		err = db.In(ctx, id, func(ctx context.Context, tx *Tx) error {
			_, err := tx.Exec(ctx, `UPDATE tenants SET domain = $1, name = coalesce(nullif($2, ''), name), updated_at = now()`, domain, name)
			return err
		})
	}
	if err != nil {
		return ID{}, fmt.Errorf("join %s account: %w", system, err)
	}
	return id, nil
}

// Me reads the transaction's tenant, settings with their defaults.
func (tx *Tx) Me(ctx context.Context) (Tenant, error) {
	t, err := Row[Tenant](ctx, tx, `SELECT crm, account_key, domain, name, status, status_why, enterprise, layout, settings, created_at FROM tenants`)
	if err != nil {
		return t, fmt.Errorf("read tenant: %w", err)
	}
	t.ID, t.Settings = tx.tenant, t.Settings.WithDefaults()
	return t, nil
}

// SystemOf tells which CRM a tenant has. It is read once for each: a tenant never changes it.
func (db *DB) SystemOf(ctx context.Context, id ID) (string, error) {
	if system, ok := db.systems.Load(id); ok {
		return system.(string), nil
	}
	var system string
	err := db.Lightly(ctx, id, func(ctx context.Context, tx *Tx) error {
		return tx.QueryRow(ctx, `SELECT crm FROM tenants`).Scan(&system)
	})
	if err == nil {
		db.systems.Store(id, system)
	}
	return system, err
}

// SetStatus changes whether we work for the tenant, and why not.
func (tx *Tx) SetStatus(ctx context.Context, s Status, why string, by Actor) error {
	var before string
	err := tx.QueryRow(ctx, `UPDATE tenants t SET status = $1, status_why = $2, updated_at = now()
		FROM tenants o WHERE o.tenant_id = t.tenant_id AND o.status <> $1 RETURNING o.status`, string(s), why).Scan(&before)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("set tenant status: %w", err)
	}
	return tx.Audit(ctx, Entry{Actor: by, Action: "tenant." + string(s), Before: before, After: string(s)}, map[string]string{"why": why})
}

// SetSettings keeps the administrator's settings.
func (tx *Tx) SetSettings(ctx context.Context, s Settings, by Actor) error {
	before, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE tenants SET settings = $1, updated_at = now()`, s); err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	return tx.Audit(ctx, Entry{Actor: by, Action: "settings.changed"}, map[string]Settings{"before": before.Settings, "after": s})
}

// SetLayout keeps what the CRM account's Setup made.
func (tx *Tx) SetLayout(ctx context.Context, layout json.RawMessage, enterprise bool) error {
	_, err := tx.Exec(ctx, `UPDATE tenants SET layout = $1, enterprise = $2, updated_at = now()`, layout, enterprise)
	return err
}

// APIKey is an integrator's key, without the key itself.
type APIKey struct {
	ID        uuid.UUID  `db:"id" json:"id"`
	Name      string     `db:"name" json:"name"`
	Role      Role       `db:"role" json:"role"`
	Hint      string     `db:"hint" json:"hint"`
	CreatedBy Actor      `db:"created_by" json:"created_by"`
	CreatedAt time.Time  `db:"created_at" json:"created_at"`
	RevokedAt *time.Time `db:"revoked_at" json:"revoked_at"`
}

// NewAPIKey makes a key and returns it for the only time it can be seen.
func (tx *Tx) NewAPIKey(ctx context.Context, name string, role Role, by Actor) (APIKey, Secret, error) {
	clear := "dp_" + NewToken()
	k := APIKey{ID: NewUUID(), Name: name, Role: role, Hint: clear[len(clear)-4:], CreatedBy: by, CreatedAt: time.Now().UTC()}
	_, err := tx.Exec(ctx, `INSERT INTO api_keys (tenant_id, id, name, role, hint, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		tx.tenant.String(), k.ID, k.Name, string(k.Role), k.Hint, string(by), k.CreatedAt)
	if err == nil {
		err = tx.OpenDoor(ctx, APIKeyDoor, clear, k.ID.String())
	}
	if err == nil {
		err = tx.Audit(ctx, Entry{Actor: by, Action: "api_key.created"}, map[string]string{"name": name, "role": string(role)})
	}
	return k, Secret(clear), err
}

// APIKeys lists the tenant's keys, newest first.
func (tx *Tx) APIKeys(ctx context.Context) ([]APIKey, error) {
	return Rows[APIKey](ctx, tx, `SELECT id, name, role, hint, created_by, created_at, revoked_at FROM api_keys ORDER BY created_at DESC`)
}

// RevokeAPIKey ends a key at once. Error: pgx.ErrNoRows when there is no such live key.
func (tx *Tx) RevokeAPIKey(ctx context.Context, id uuid.UUID, by Actor) error {
	tag, err := tx.Exec(ctx, `UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL`, id)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	if err == nil {
		err = tx.CloseDoors(ctx, APIKeyDoor, id.String())
	}
	if err == nil {
		err = tx.Audit(ctx, Entry{Actor: by, Action: "api_key.revoked"}, map[string]string{"id": id.String()})
	}
	return err
}
