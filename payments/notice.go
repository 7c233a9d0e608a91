package payments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// ErrForged is returned for a notice whose signature is wrong or too old. It changes nothing but the audit trail.
var ErrForged = errors.New("payments: the notice's signature is not good")

// Take receives a notice at the address with this key: finds the tenant, checks the signature, keeps the notice sealed and
// promises a check, in one transaction. It believes nothing of its content, unless the acquirer has no status call
// ([Teller]). A question before payment ([Prechecker]) is answered and not kept. The provider is returned so that the
// caller can answer in its form. Errors: ErrNotFound (no such address), ErrNotice, ErrForged.
func (s *Service) Take(ctx context.Context, acquirer, key string, n Notice) (Provider, Outcome, error) {
	provider, ok := s.Providers[acquirer]
	if !ok {
		return nil, Broken, ErrNotFound
	}
	_, asks := provider.(Prechecker)
	_, tells := provider.(Teller)
	if asks || tells { // what they say is acted upon at once, so each has a transaction of its own
		outcome, err := s.takeOne(ctx, acquirer, key, n)
		return provider, outcome, err
	}
	outcome, err := s.crowd.join(ctx, acquirer+"/"+key, n, func(ctx context.Context, arrived []*arrival) {
		s.takeAll(ctx, acquirer, key, arrived)
	})
	return provider, outcome, err
}

// at runs fn for the connection whose notices come to the address with this key. Error: ErrNotFound.
func (s *Service) at(ctx context.Context, acquirer, key string, fn func(context.Context, *tenants.Tx, Connection) error) error {
	id, ref, err := s.DB.Enter(ctx, tenants.HookDoor, key)
	if errors.Is(err, tenants.ErrNoDoor) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	connID, err := uuid.Parse(ref)
	if err != nil {
		return ErrNotFound
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		conn, err := s.connection(ctx, tx, connID)
		if err == nil && conn.Acquirer != acquirer {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return fn(ctx, tx, conn)
	})
}

// takeOne takes a notice of an acquirer whose questions or words are acted upon at once.
func (s *Service) takeOne(ctx context.Context, acquirer, key string, n Notice) (outcome Outcome, err error) {
	var forged error
	err = s.at(ctx, acquirer, key, func(ctx context.Context, tx *tenants.Tx, conn Connection) error {
		var err error
		if outcome, err = s.answered(ctx, tx, conn, n); errors.Is(err, ErrForged) {
			forged = err
			return s.auditForged(ctx, tx, acquirer)
		}
		return err
	})
	if err != nil {
		outcome = Broken
	}
	return outcome, errors.Join(err, forged)
}

func (s *Service) auditForged(ctx context.Context, tx *tenants.Tx, acquirer string) error {
	return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: tenants.Acquirer, Action: "notice.refused"},
		map[string]string{"acquirer": acquirer, "why": "signature"})
}

// answered judges one request of an acquirer: a question, a forgery, or a notice.
func (s *Service) answered(ctx context.Context, tx *tenants.Tx, conn Connection, n Notice) (Outcome, error) {
	provider := s.Providers[conn.Acquirer]
	if asker, asks := provider.(Prechecker); asks {
		reference, amount, err := asker.Precheck(conn, n)
		switch {
		case err == nil:
			return s.precheck(ctx, tx, uuid.MustParse(conn.ID), reference, amount)
		case errors.Is(err, ErrRefused):
			return Rejected, tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: tenants.Acquirer, Action: "precheck.refused"}, map[string]string{"why": "another_merchant"})
		case !errors.Is(err, ErrNotice):
			return Broken, err
		}
	}
	heard, err := hear(provider, conn, n)
	if errors.Is(err, ErrForged) {
		return Unverified, err
	}
	if err != nil {
		return Broken, err
	}
	if _, tells := provider.(Teller); tells {
		return s.file(ctx, tx, conn, heard, n)
	}
	kept, err := s.fileAll(ctx, tx, conn, []*arrival{{notice: n, heard: heard}})
	return kept[heard.Key], err
}

// The longest names that are taken from a notice; documented ones have at most 64 characters.
const longestName = 256

// hear reads a notice and makes sure that what it names can be kept. Errors: ErrNotice, ErrForged.
func hear(provider Provider, conn Connection, n Notice) (Heard, error) {
	heard, err := provider.Hear(conn, n)
	if err != nil {
		return heard, err
	}
	if heard.Signed && !heard.Authentic {
		return heard, ErrForged
	}
	for _, name := range []string{heard.Key, heard.Reference, heard.ProviderRef} {
		if len(name) > longestName || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
			return heard, fmt.Errorf("%w: it names something of %d bytes", ErrNotice, len(name))
		}
	}
	if heard.Key == "" {
		sum := sha256.Sum256([]byte(n.Query + "\n" + string(n.Body)))
		heard.Key = hex.EncodeToString(sum[:])
	}
	return heard, nil
}

// file keeps a notice that nobody can be asked about, once, and records what it tells.
func (s *Service) file(ctx context.Context, tx *tenants.Tx, conn Connection, heard Heard, n Notice) (Outcome, error) {
	sealed, err := sealedNotice(tx, n)
	if err != nil {
		return Broken, err
	}
	id := tenants.NewUUID()
	var first bool
	var earlier string
	if err := tx.QueryRow(ctx, `INSERT INTO notices (tenant_id, id, connection_id, key, reference, provider_ref, authentic, raw, received_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (tenant_id, connection_id, key) DO UPDATE SET times = notices.times + 1 RETURNING times = 1, outcome`,
		tx.Tenant().String(), id, conn.ID, heard.Key, heard.Reference, heard.ProviderRef, heard.Authentic, sealed, n.ReceivedAt).Scan(&first, &earlier); err != nil {
		return Broken, err
	}
	switch {
	case !first && earlier == string(Rejected):
		return Rejected, nil
	case !first:
		return Duplicate, nil
	case !heard.Authentic: // an unsigned word proves nothing, and there is nobody to ask
		return Accepted, nil
	}
	return s.told(ctx, tx, conn, id, heard, n)
}

// matched notes which attempt a notice is about. An authentic one also tells what the acquirer calls an attempt that
// was started by a form: only the notice knows.
func matched(ctx context.Context, tx *tenants.Tx, notice uuid.UUID, a Attempt, heard Heard) error {
	if heard.Authentic && a.ProviderRef == "" && heard.ProviderRef != "" {
		if _, err := tx.Exec(ctx, `UPDATE attempts SET provider_ref = $2 WHERE id = $1 AND provider_ref = ''`, a.ID, heard.ProviderRef); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `UPDATE notices SET attempt_id = $2 WHERE id = $1`, notice, a.ID)
	return err
}

// about finds the attempt that a notice names. Error: ErrNotFound.
func about(ctx context.Context, tx *tenants.Tx, conn uuid.UUID, reference, providerRef string) (Attempt, error) {
	return one(tenants.Row[Attempt](ctx, tx, `SELECT `+attemptColumns+` FROM attempts WHERE connection_id = $1
		AND ((reference = $2 AND $2 <> '') OR (provider_ref = $3 AND $3 <> '')) ORDER BY reference = $2 DESC LIMIT 1`, conn, reference, providerRef))
}

type filed struct {
	ID           uuid.UUID `db:"id"`
	ConnectionID uuid.UUID `db:"connection_id"`
	Reference    string    `db:"reference"`
	ProviderRef  string    `db:"provider_ref"`
	Authentic    bool      `db:"authentic"`
	ReceivedAt   time.Time `db:"received_at"`
}

const filedColumns = `id, connection_id, reference, provider_ref, authentic, received_at`

// patience is how long a notice may wait for the attempt it names before its money counts as an orphan.
const patience = time.Minute

// Match keeps the promise to find out what an unmatched notice is about. It returns when to look again, or the zero
// time. Errors: ErrUnavailable, ErrCredentials.
func (s *Service) Match(ctx context.Context, id tenants.ID, notice uuid.UUID) (time.Time, error) {
	var f filed
	var conn Connection
	var a Attempt
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		if f, err = one(tenants.Row[filed](ctx, tx, `SELECT `+filedColumns+` FROM notices WHERE id = $1`, notice)); err != nil {
			return err
		}
		if conn, err = s.connection(ctx, tx, f.ConnectionID); err != nil {
			return err
		}
		if a, err = about(ctx, tx, f.ConnectionID, f.Reference, f.ProviderRef); errors.Is(err, ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		return matched(ctx, tx, f.ID, a, Heard{Authentic: f.Authentic, ProviderRef: f.ProviderRef})
	})
	switch {
	case err != nil:
		return time.Time{}, err
	case a.ID != uuid.Nil:
		return time.Time{}, s.Verify(ctx, id, a.ID, evidence{Source: "status_answer"}.noticed(f.ID, f.ReceivedAt, f.Authentic))
	case s.Now().Sub(f.ReceivedAt) < patience:
		return s.Now().Add(2 * time.Second), nil
	}
	return time.Time{}, s.orphan(ctx, id, conn, f)
}

// orphan asks about money that names no attempt of ours; if it is there, a person must say whose it is.
func (s *Service) orphan(ctx context.Context, id tenants.ID, conn Connection, f filed) error {
	seen, err := s.hangs.ask(conn.place(), func() (Observation, error) {
		return s.Providers[conn.Acquirer].Look(ctx, conn, Order{Reference: f.Reference, ProviderRef: f.ProviderRef})
	})
	s.heed(ctx, id, conn, err)
	if errors.Is(err, ErrNothingNew) || (err == nil && seen.Captured.Minor == 0) {
		return nil
	}
	if err != nil {
		return err
	}
	var a Attempt
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		// The notice may have named the payment by a name that only the acquirer's answer leads back to our order.
		if a, err = about(ctx, tx, f.ConnectionID, seen.Reference, seen.ProviderRef); err == nil {
			return matched(ctx, tx, f.ID, a, Heard{})
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		return s.raiseOrphan(ctx, tx, conn, f, seen)
	})
	if err != nil || a.ID == uuid.Nil {
		return err
	}
	return s.Verify(ctx, id, a.ID, evidence{Source: "status_answer"}.noticed(f.ID, f.ReceivedAt, f.Authentic))
}
