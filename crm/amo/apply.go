package amo

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/dealpay/dealpay/crm"
)

// unanswered is the code of an element about which an accepted write says nothing.
const unanswered = "unanswered"

// batchSize is how many elements one write carries: 250 are taken, 50 advised (Kommo "Limitations").
const batchSize = 50

// fieldsKind is the kind of a change that writes fields; the other kinds are those of effects.
const fieldsKind crm.EffectKind = "fields"

// rounds is the order in which the kinds take their turns. The order of one deal's changes is kept whatever this
// order is; it only decides how full the batches get.
var rounds = []crm.EffectKind{fieldsKind, crm.Note, crm.Task, crm.CloseTask}

// run is one Apply.
type run struct {
	*Account
	changes  []crm.Change
	verdicts []crm.Verdict
	queues   map[string][]int // changes still to do, by deal
	deals    []string         // in the order of their first change
	halted   error            // set when nothing further may be sent
	repaired bool             // fields were repaired once
	lists    map[string][]entry
}

// Apply carries out changes. Each turn takes, from every deal's queue, the run of changes of one kind at its head,
// and sends them together.
func (a *Account) Apply(ctx context.Context, changes []crm.Change) []crm.Verdict {
	r := &run{Account: a, changes: changes, verdicts: make([]crm.Verdict, len(changes)), queues: map[string][]int{},
		lists: map[string][]entry{}}
	for i, c := range changes {
		if err := check(c); err != nil {
			r.verdicts[i].Err = err
			continue
		}
		if r.queues[c.Deal] == nil {
			r.deals = append(r.deals, c.Deal)
		}
		r.queues[c.Deal] = append(r.queues[c.Deal], i)
	}
	for len(r.queues) > 0 {
		for _, kind := range rounds {
			r.turn(ctx, kind)
		}
	}
	return r.verdicts
}

// check finds what can be refused without asking.
func check(c crm.Change) error {
	const op = "apply"
	switch {
	case !isID(c.Deal):
		return gone(op)
	case (c.State == nil) == (c.Effect == nil), !slices.Contains(rounds, kindOfChange(c)):
		return refusal(op, "change")
	case c.State == nil:
		return nil
	case c.State.Stage != "" && (!isID(c.State.Stage) || c.State.Pipeline != "" && !isID(c.State.Pipeline)):
		return refusal(op, "stage")
	}
	if _, ok := encode(*c.State); !ok {
		return refusal(op, "currencies")
	}
	return nil
}

func kindOfChange(c crm.Change) crm.EffectKind {
	if c.State != nil {
		return fieldsKind
	}
	return c.Effect.Kind
}

// turn takes the changes of this kind that may go now and carries them out.
func (r *run) turn(ctx context.Context, kind crm.EffectKind) {
	var heads [][]int // one run of changes per deal
	for _, deal := range r.deals {
		queue := r.queues[deal]
		n := 0
		for n < len(queue) && kindOfChange(r.changes[queue[n]]) == kind {
			n++
		}
		if n == 0 {
			continue
		}
		heads = append(heads, queue[:n])
		if r.queues[deal] = queue[n:]; n == len(queue) {
			delete(r.queues, deal)
		}
	}
	switch kind {
	case fieldsKind:
		r.writeFields(ctx, heads)
	case crm.CloseTask:
		r.closeTasks(ctx, slices.Concat(heads...))
	default:
		r.makeEffects(ctx, kind, slices.Concat(heads...))
	}
}

// element is one element of a write: what to send, and whose verdict it is.
type element struct {
	deal string
	body map[string]any
	at   []int
}

// target is an array endpoint.
type target struct {
	method, path, list string
}

var (
	leadsTarget = target{"PATCH", "/leads", "leads"}
	notesTarget = target{"POST", "/leads/notes", "notes"}
	tasksTarget = target{"POST", "/tasks", "tasks"}
)

// written is what a write answers for one element.
type written struct {
	ID        scalar `json:"id"`
	RequestID scalar `json:"request_id"`
}

// send carries out elements in batches.
func (r *run) send(ctx context.Context, t target, elements []element) {
	for batch := range slices.Chunk(elements, batchSize) {
		r.batch(ctx, t, batch)
	}
}

// batch sends one array. The CRM refuses an array as a whole when one element is wrong, so a refused array is
// taken apart: without the elements it blames, or in halves when it blames nobody.
func (r *run) batch(ctx context.Context, t target, elements []element) {
	if r.halted != nil {
		r.fail(elements, r.halted)
		return
	}
	answers, err := r.exchangeArray(ctx, t, elements)
	switch {
	case err == nil:
		r.settle(ctx, t, elements, answers)
	case r.halts(ctx, err):
		r.fail(elements, err)
	case problemOf(err).lostField() && r.repairFields(ctx):
		r.batch(ctx, t, elements)
	case divisible(t, len(elements), err):
		r.divide(ctx, t, elements, err)
	default:
		r.refuse(ctx, t, elements, err)
	}
}

// exchangeArray sends elements under the request ids "0", "1" and so on.
func (r *run) exchangeArray(ctx context.Context, t target, elements []element) ([]written, error) {
	body := make([]map[string]any, len(elements))
	for i, e := range elements {
		body[i] = maps.Clone(e.body)
		body[i]["request_id"] = strconv.Itoa(i)
	}
	var l list[written]
	err := r.do(ctx, call{method: t.method, path: t.path, body: body}, &l)
	return l.Embedded[t.list], err
}

// halts remembers an error after which the rest would meet the same answer, and says whether err is one.
func (r *run) halts(ctx context.Context, err error) bool {
	rest := *asCRM(err)
	if rest.Class != crm.Throttled && rest.Class != crm.Revoked && rest.Code != noAccount && ctx.Err() == nil {
		return false
	}
	rest.Ambiguous = false // of what was not even sent
	r.halted = &rest
	return true
}

// divisible says whether smaller arrays may fare better: one bad element, or a time-out (504) of a large write
// that is safe to repeat.
func divisible(t target, n int, err error) bool {
	switch problemOf(err).status {
	case 400, 404, 422:
		return n > 1
	case 504:
		return t == leadsTarget && n > batchSize/2
	}
	return false
}

func (r *run) divide(ctx context.Context, t target, elements []element, err error) {
	p := problemOf(err)
	var bad, rest []element
	for i, e := range elements {
		if p.named(strconv.Itoa(i), e.deal) {
			bad = append(bad, e)
		} else {
			rest = append(rest, e)
		}
	}
	if len(bad) == 0 {
		bad, rest = elements[:len(elements)/2], elements[len(elements)/2:]
		r.batch(ctx, t, bad)
	} else {
		r.refuse(ctx, t, bad, err)
	}
	if len(rest) > 0 {
		r.batch(ctx, t, rest)
	}
}

// settle gives the verdicts of an accepted array. Answers come in any order.
func (r *run) settle(ctx context.Context, t target, elements []element, answers []written) {
	byRequest, byID := map[string]written{}, map[string]written{}
	for _, w := range answers {
		byRequest[string(w.RequestID)] = w
		byID[string(w.ID)] = w
	}
	for i, e := range elements {
		w, ok := byRequest[strconv.Itoa(i)]
		if t == leadsTarget {
			w, ok = byID[e.deal]
		}
		switch {
		case ok && w.ID != "" && t == leadsTarget:
			r.done(e, "")
		case ok && w.ID != "":
			r.done(e, string(w.ID))
		default:
			r.refuse(ctx, t, []element{e}, &crm.Error{Class: crm.Transient, Op: t.path, Code: unanswered,
				Ambiguous: t != leadsTarget, Err: errNotListed})
		}
	}
}

// refuse gives elements their verdict err, unless the reason is that the deal is gone, which the CRM does not say
// in one way. A merged write is tried change by change first.
func (r *run) refuse(ctx context.Context, t target, elements []element, err error) {
	class := crm.ClassOf(err)
	if status := problemOf(err).status; status != 400 && status != 404 && status != 422 && asCRM(err).Code != unanswered {
		r.fail(elements, err)
		return
	}
	for _, e := range elements {
		if len(e.at) > 1 {
			for _, i := range e.at {
				r.writeFields(ctx, [][]int{{i}})
			}
			continue
		}
		if r.halted != nil {
			r.fail([]element{e}, r.halted)
			continue
		}
		_, missing := r.lead(ctx, e.deal, "")
		switch {
		case missing == nil && class == crm.Gone:
			r.fail([]element{e}, &crm.Error{Class: crm.Refused, Op: t.path, Code: "not_found", Err: err})
		case missing == nil:
			r.fail([]element{e}, err)
		default:
			r.halts(ctx, missing)
			r.fail([]element{e}, missing)
		}
	}
}

func (r *run) fail(elements []element, err error) {
	for _, e := range elements {
		for _, i := range e.at {
			r.verdicts[i] = crm.Verdict{Err: err}
		}
	}
}

func (r *run) done(e element, id string) {
	for _, i := range e.at {
		r.verdicts[i] = crm.Verdict{RemoteID: id}
	}
}

// repairFields makes fields that somebody deleted, once in a run.
func (r *run) repairFields(ctx context.Context) bool {
	if r.repaired {
		return false
	}
	r.repaired = true
	_, err := r.ensureFields(ctx)
	return err == nil
}

// writeFields writes one state per deal: fields are written whole, so the last of a run stands for all, with the
// last stage that any of them asked for.
func (r *run) writeFields(ctx context.Context, heads [][]int) {
	elements := make([]element, len(heads))
	for n, at := range heads {
		state := *r.changes[at[len(at)-1]].State
		for _, i := range slices.Backward(at) {
			if s := r.changes[i].State; state.Stage == "" && s.Stage != "" {
				state.Stage, state.Pipeline = s.Stage, s.Pipeline
			}
		}
		deal := r.changes[at[0]].Deal
		fields, _ := encode(state) // checked before
		body := map[string]any{"id": number(deal), "custom_fields_values": r.layout.place(state, fields)}
		if state.Stage != "" {
			body["status_id"] = number(state.Stage)
			if state.Pipeline != "" { // won and lost are stages of every pipeline
				body["pipeline_id"] = json.Number(state.Pipeline)
			}
		}
		elements[n] = element{deal: deal, body: body, at: at}
	}
	r.send(ctx, leadsTarget, elements)
}
