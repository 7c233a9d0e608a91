package widgets

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/gin-gonic/gin"
)

// sessionLife is short: the card asks its CRM for a new one while it is open.
const sessionLife = 20 * time.Minute

// claims are what a session is sealed around. A manager's session is bound to one deal.
type claims struct {
	Tenant string        `json:"t"`
	Actor  tenants.Actor `json:"a"`
	Role   tenants.Role  `json:"r"`
	Deal   string        `json:"d,omitempty"`
	Lang   string        `json:"l,omitempty"`
	Ends   int64         `json:"e"`
}

// caller is who asks, as a key or a session proved it.
type caller struct {
	tenant tenants.ID
	by     payments.By
	deal   string // the only deal this caller may touch; empty: any of the tenant's
	lang   string
}

// within refuses another deal than the one that the caller may touch.
func (w caller) within(deal string) error {
	if w.deal != "" && w.deal != deal {
		return payments.ErrNotFound
	}
	return nil
}

func (s *Service) newSession(id tenants.ID, c caller) (string, time.Time, error) {
	ends := s.Now().Add(sessionLife).UTC().Truncate(time.Second)
	raw, err := json.Marshal(claims{Tenant: id.String(), Actor: c.by.Actor, Role: c.by.Role, Deal: c.deal, Lang: c.lang, Ends: ends.Unix()})
	if err != nil {
		return "", ends, err
	}
	sealed, err := s.DB.Sealer().Seal(tenants.ID{}, "session", raw)
	return "dps_" + base64.RawURLEncoding.EncodeToString(sealed), ends, err
}

var errSession = errors.New("widgets: no valid session")

func (s *Service) openSession(text string) (caller, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "dps_"))
	if err != nil {
		return caller{}, errSession
	}
	raw, err := s.DB.Sealer().Open(tenants.ID{}, "session", sealed)
	if err != nil {
		return caller{}, errSession
	}
	var c claims
	if err := json.Unmarshal(raw, &c); err != nil || s.Now().Unix() >= c.Ends {
		return caller{}, errSession
	}
	id, err := tenants.Restore(c.Tenant)
	if err != nil {
		return caller{}, errSession
	}
	return caller{tenant: id, by: payments.By{Actor: c.Actor, Role: c.Role}, deal: c.Deal, lang: c.Lang}, nil
}

const callerKey = "caller"

// Gate lets pass whoever has a valid key or session with at least this role.
func (s *Service) Gate(needed tenants.Role) gin.HandlerFunc {
	return s.admit(func(w caller) bool { return w.by.Role.Allows(needed) })
}

// Office lets pass whom Gate would, unless the session was opened for one deal: what belongs to the whole tenant is not
// reached from a deal's card.
func (s *Service) Office(needed tenants.Role) gin.HandlerFunc {
	return s.admit(func(w caller) bool { return w.by.Role.Allows(needed) && w.deal == "" })
}

func (s *Service) admit(may func(caller) bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !legible(c) {
			s.fail(c, &bad{"address_unreadable", "The address or the Idempotency-Key holds bytes that are no text."})
			return
		}
		who, err := s.identify(c)
		if err == nil && !may(who) {
			err = payments.ErrRole
		}
		if err != nil {
			s.fail(c, err)
			return
		}
		c.Set(callerKey, who)
		c.Next()
	}
}

// legible says whether the address and the key are text that the database can keep.
func legible(c *gin.Context) bool {
	texts := []string{c.Request.URL.Path, c.GetHeader("Idempotency-Key")}
	for _, values := range c.Request.URL.Query() {
		texts = append(texts, values...)
	}
	return !slices.ContainsFunc(texts, func(text string) bool { return strings.ContainsRune(text, 0) || !utf8.ValidString(text) })
}

func who(c *gin.Context) caller { return c.MustGet(callerKey).(caller) } //nolint:forcetypeassert // set by Gate

func (s *Service) identify(c *gin.Context) (caller, error) {
	token, ok := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	if !ok || token == "" || len(token) > 4096 {
		return caller{}, errSession
	}
	if strings.HasPrefix(token, "dps_") {
		return s.openSession(token)
	}
	ctx := c.Request.Context()
	id, ref, err := s.DB.Enter(ctx, tenants.APIKeyDoor, token)
	if errors.Is(err, tenants.ErrNoDoor) {
		return caller{}, errSession
	}
	if err != nil {
		return caller{}, err
	}
	who := caller{tenant: id, lang: language(c.Request)}
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		keys, err := tx.APIKeys(ctx)
		for _, k := range keys {
			if k.ID.String() == ref && k.RevokedAt == nil {
				who.by = payments.By{Actor: tenants.Actor("key:" + k.Name), Role: k.Role}
			}
		}
		return err
	})
	if err == nil && who.by.Role == "" {
		err = errSession
	}
	return who, err
}

// language is the reader's language from Accept-Language; en when it is none of ours.
func language(r *http.Request) string {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if _, ok := words[primary]; ok {
			return primary
		}
	}
	return "en"
}
