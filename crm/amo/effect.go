package amo

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dealpay/dealpay/crm"
)

const (
	followUp    = 1              // task type that every account has
	defaultTerm = 24 * time.Hour // a task must have a term
)

// entry is a note or a task as it is listed.
type entry struct {
	ID     scalar `json:"id"`
	Entity scalar `json:"entity_id"`
	Text   scalar `json:"text"` // of a task
	Params struct {
		Text scalar `json:"text"` // of a note
	} `json:"params"`
}

// makeEffects makes notes or tasks. What may have been made before is looked for first, because nothing that is
// posted here can be made idempotent.
func (r *run) makeEffects(ctx context.Context, kind crm.EffectKind, at []int) {
	t := notesTarget
	if kind == crm.Task {
		t = tasksTarget
	}
	var elements []element
	for _, i := range at {
		e, err := r.prepare(ctx, i)
		switch {
		case r.halted != nil:
			r.verdicts[i].Err = r.halted
		case err != nil:
			r.halts(ctx, err)
			r.verdicts[i].Err = err
		case e.body != nil:
			elements = append(elements, e)
		}
	}
	r.send(ctx, t, elements)
}

// prepare builds the element of change i. An element without body means that the effect was found, and its verdict
// given.
func (r *run) prepare(ctx context.Context, i int) (element, error) {
	change := r.changes[i]
	effect := *change.Effect
	e := element{deal: change.Deal, at: []int{i}}
	if r.halted != nil {
		return e, r.halted
	}
	if effect.Ambiguous && effect.Reference != "" {
		id, err := r.find(ctx, change.Deal, effect)
		if err != nil {
			return e, err
		}
		if id != "" {
			r.done(e, id)
			return e, nil
		}
	}
	var err error
	e.body, err = r.effectBody(ctx, change.Deal, effect)
	return e, err
}

// effectBody is what to post for an effect. Its reference is in the text.
func (r *run) effectBody(ctx context.Context, deal string, effect crm.Effect) (map[string]any, error) {
	text := effect.Text
	if !mentions(text, effect.Reference) {
		text = strings.TrimSpace(text + "\n" + effect.Reference)
	}
	if effect.Kind == crm.Note {
		return map[string]any{"entity_id": number(deal), "note_type": "common", "params": map[string]string{"text": text}}, nil
	}
	owner := effect.OwnerID
	if !isID(owner) {
		l, err := r.lead(ctx, deal, "")
		if err != nil {
			return nil, err
		}
		owner = string(l.Responsible)
	}
	due := effect.Due
	if due.IsZero() {
		due = r.cfg.Now().Add(defaultTerm)
	}
	body := map[string]any{"entity_id": number(deal), "entity_type": "leads", "task_type_id": followUp, "text": text,
		"complete_till": due.Unix()}
	if isID(owner) {
		body["responsible_user_id"] = number(owner)
	}
	return body, nil
}

// find looks for an effect by its reference and returns its id, or "".
func (r *run) find(ctx context.Context, deal string, effect crm.Effect) (string, error) {
	path, key, query := "/leads/"+deal+"/notes", "notes", url.Values{"filter[note_type][]": {"common"}}
	if effect.Kind == crm.Task {
		path, key = "/tasks", "tasks"
		query = url.Values{"filter[entity_type]": {"leads"}, "filter[entity_id][]": {deal}}
	}
	listed, ok := r.lists[key+deal] // one look serves every effect of this deal
	if !ok {
		var err error
		if listed, err = all[entry](ctx, r.Account, path, key, query); err != nil {
			return "", r.doubt(ctx, err)
		}
		r.lists[key+deal] = listed
	}
	for _, e := range listed {
		elsewhere := e.Entity != "" && string(e.Entity) != deal
		if !elsewhere && mentions(string(e.Text)+"\n"+string(e.Params.Text), effect.Reference) {
			return string(e.ID), nil
		}
	}
	return "", nil
}

// mentions says whether text names reference, and not only a longer one that begins like it.
func mentions(text, reference string) bool {
	if reference == "" {
		return true
	}
	for {
		before, after, ok := strings.Cut(text, reference)
		if !ok {
			return false
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		next, _ := utf8.DecodeRuneInString(after)
		if !wordy(last) && !wordy(next) {
			return true
		}
		text = after
	}
}

func wordy(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_')
}

// closeTasks completes tasks. Completing one twice is harmless; one that was deleted is Gone.
func (r *run) closeTasks(ctx context.Context, at []int) {
	for _, i := range at {
		if r.halted != nil {
			r.verdicts[i].Err = r.halted
			continue
		}
		effect := r.changes[i].Effect
		err := r.closeTask(ctx, *effect)
		if err != nil {
			r.halts(ctx, err)
		}
		r.verdicts[i] = crm.Verdict{RemoteID: effect.RemoteID, Err: err}
	}
}

func (r *run) closeTask(ctx context.Context, effect crm.Effect) error {
	c := call{method: http.MethodPatch, path: "/tasks/" + effect.RemoteID}
	if !isID(effect.RemoteID) {
		return gone(c.op())
	}
	body := map[string]any{"is_completed": true}
	if effect.Text != "" {
		body["result"] = map[string]string{"text": effect.Text}
	}
	c.body = body
	var got entry
	err := r.do(ctx, c, &got)
	if err == nil && got.ID == "" {
		return gone(c.op()) // 204: nothing there
	}
	if err == nil || crm.ClassOf(err) != crm.Refused {
		return r.doubt(ctx, err)
	}
	var still entry // the CRM does not say in one way that a task is not there
	look := r.do(ctx, call{method: http.MethodGet, path: c.path}, &still)
	if crm.ClassOf(look) == crm.Gone || look == nil && still.ID == "" {
		return gone(c.op())
	}
	return err
}

func asCRM(err error) *crm.Error {
	var e *crm.Error
	if errors.As(err, &e) {
		return e
	}
	return &crm.Error{Op: "apply", Err: err}
}
