package payments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// most is how many notices share a transaction.
const most = 128

// arrival is a notice that waits to be kept.
type arrival struct {
	request context.Context //nolint:containedctx // names the request in the audit trail
	notice  Notice
	heard   Heard
	outcome Outcome
	err     error
	kept    chan struct{}
}

// crowd commits notices in groups: while one transaction of an address is under way, those that come meanwhile wait and
// share the next. A notice that comes alone waits for nobody.
type crowd struct {
	mu    sync.Mutex
	lines map[string][]*arrival // by address; an address is here while somebody serves it
}

// join waits until take has kept the notice, together with others that came to the same address.
func (c *crowd) join(ctx context.Context, address string, n Notice, take func(context.Context, []*arrival)) (Outcome, error) {
	a := &arrival{request: ctx, notice: n, outcome: Broken, kept: make(chan struct{})}
	c.mu.Lock()
	if c.lines == nil {
		c.lines = map[string][]*arrival{}
	}
	line, served := c.lines[address]
	c.lines[address] = append(line, a)
	c.mu.Unlock()
	if !served {
		go c.serve(context.WithoutCancel(ctx), address, take)
	}
	select {
	case <-a.kept:
		return a.outcome, a.err
	case <-ctx.Done(): // it may still be kept; the acquirer sends it again, and a repetition does no harm
		return Broken, ctx.Err()
	}
}

// serve takes whoever waits at the address, group by group, and leaves when nobody waits.
func (c *crowd) serve(ctx context.Context, address string, take func(context.Context, []*arrival)) {
	for {
		c.mu.Lock()
		line := c.lines[address]
		if len(line) == 0 {
			delete(c.lines, address)
			c.mu.Unlock()
			return
		}
		n := min(len(line), most)
		c.lines[address] = line[n:]
		c.mu.Unlock()
		serve(ctx, line[:n], take)
	}
}

func serve(ctx context.Context, group []*arrival, take func(context.Context, []*arrival)) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	defer func() {
		broken := recover()
		for _, a := range group {
			if broken != nil {
				a.outcome, a.err = Broken, fmt.Errorf("payments: taking a notice: %v", broken)
			}
			close(a.kept)
		}
	}()
	take(ctx, group)
}

// takeAll takes the notices that came to one address in one transaction.
func (s *Service) takeAll(ctx context.Context, acquirer, key string, arrived []*arrival) {
	err := s.at(ctx, acquirer, key, func(ctx context.Context, tx *tenants.Tx, conn Connection) error {
		var good []*arrival
		for _, a := range arrived {
			a.heard, a.err = hear(s.Providers[acquirer], conn, a.notice)
			switch {
			case errors.Is(a.err, ErrForged):
				a.outcome = Unverified
				if err := s.auditForged(tenants.WithRequest(ctx, tenants.RequestOf(a.request)), tx, acquirer); err != nil {
					return err
				}
			case a.err != nil:
				a.outcome = Broken
			default:
				good = append(good, a)
			}
		}
		kept, err := s.fileAll(ctx, tx, conn, good)
		for _, a := range good {
			if a.outcome = kept[a.heard.Key]; a.outcome == Accepted {
				kept[a.heard.Key] = Duplicate // of the first one in this group
			}
		}
		return err
	})
	for _, a := range arrived {
		if err != nil {
			a.outcome, a.err = Broken, err
		}
	}
}

// fileAll keeps notices, each once, and promises the checks they ask for. It returns what became of each by its key. Rows
// are written in the order of their keys, so that two processes with the same notices cannot lock each other out.
func (s *Service) fileAll(ctx context.Context, tx *tenants.Tx, conn Connection, arrived []*arrival) (map[string]Outcome, error) {
	outcomes := map[string]Outcome{}
	times := map[string]int{}
	var distinct []*arrival
	for _, a := range arrived {
		if times[a.heard.Key]++; times[a.heard.Key] == 1 {
			distinct = append(distinct, a)
			outcomes[a.heard.Key] = Duplicate
		}
	}
	if len(distinct) == 0 {
		return outcomes, nil
	}
	slices.SortFunc(distinct, func(a, b *arrival) int { return cmp.Compare(a.heard.Key, b.heard.Key) })
	fresh, err := insertNotices(ctx, tx, conn, distinct, times)
	if err != nil {
		return outcomes, fmt.Errorf("keep notices: %w", err)
	}
	var checks, unmatched []string
	for _, f := range fresh {
		outcomes[f.Key] = Accepted
		if f.AttemptID != nil {
			checks = append(checks, f.AttemptID.String())
		} else { // perhaps our own row is not committed yet
			unmatched = append(unmatched, f.ID.String())
		}
	}
	nameAttempts(tx, fresh)
	outbox.Promise(tx, outbox.Check, s.Now(), checks...)
	outbox.Promise(tx, outbox.Notice, s.Now(), unmatched...)
	return outcomes, nil
}

// newNotice is a notice that was not there before.
type newNotice struct {
	ID          uuid.UUID  `db:"id"`
	Key         string     `db:"key"`
	AttemptID   *uuid.UUID `db:"attempt_id"`
	ProviderRef string     `db:"provider_ref"`
	Authentic   bool       `db:"authentic"`
}

// insertNotices writes notices with the attempts they name, counts repetitions, and returns those that are new.
func insertNotices(ctx context.Context, tx *tenants.Tx, conn Connection, arrived []*arrival, times map[string]int) ([]newNotice, error) {
	n := len(arrived)
	ids, keys, references, refs := make([]uuid.UUID, n), make([]string, n), make([]string, n), make([]string, n)
	authentic, raw, received, counts := make([]bool, n), make([][]byte, n), make([]time.Time, n), make([]int, n)
	for i, a := range arrived {
		sealed, err := sealedNotice(tx, a.notice)
		if err != nil {
			return nil, err
		}
		ids[i], keys[i], references[i], refs[i] = tenants.NewUUID(), a.heard.Key, a.heard.Reference, a.heard.ProviderRef
		authentic[i], raw[i], received[i], counts[i] = a.heard.Authentic, sealed, a.notice.ReceivedAt, times[a.heard.Key]
	}
	all, err := tenants.Rows[newNotice](ctx, tx, `
		INSERT INTO notices (tenant_id, id, connection_id, key, reference, provider_ref, authentic, raw, received_at, times, attempt_id)
		SELECT $1, n.id, $2, n.key, n.reference, n.provider_ref, n.authentic, n.raw, n.received_at, n.times, a.id
		FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::bytea[], $9::timestamptz[], $10::int[])
			AS n(id, key, reference, provider_ref, authentic, raw, received_at, times)
		LEFT JOIN LATERAL (SELECT id FROM attempts WHERE connection_id = $2
			AND ((reference = n.reference AND n.reference <> '') OR (provider_ref = n.provider_ref AND n.provider_ref <> ''))
			ORDER BY reference = n.reference DESC LIMIT 1) a ON true
		ORDER BY n.key
		ON CONFLICT (tenant_id, connection_id, key) DO UPDATE SET times = notices.times + excluded.times
		RETURNING id, key, attempt_id, provider_ref, authentic`,
		tx.Tenant().String(), conn.ID, ids, keys, references, refs, authentic, raw, received, counts)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(k newNotice) bool { return !slices.Contains(ids, k.ID) }), nil
}

// nameAttempts notes what the acquirer calls attempts that were started by a form: only an authentic notice knows.
func nameAttempts(tx *tenants.Tx, fresh []newNotice) {
	var ids []uuid.UUID
	var refs []string
	for _, f := range fresh {
		if f.AttemptID != nil && f.Authentic && f.ProviderRef != "" {
			ids, refs = append(ids, *f.AttemptID), append(refs, f.ProviderRef)
		}
	}
	if len(ids) == 0 {
		return
	}
	tx.Later(`WITH n AS (SELECT a.id, n.ref FROM unnest($1::uuid[], $2::text[]) AS n(id, ref) JOIN attempts a ON a.id = n.id
			WHERE a.provider_ref = '' ORDER BY a.id FOR UPDATE OF a)
		UPDATE attempts a SET provider_ref = n.ref FROM n WHERE a.id = n.id`, ids, refs)
}
