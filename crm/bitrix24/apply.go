package bitrix24

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/dealpay/dealpay/crm"
)

// job is a change on its way. Its questions are asked before anything is written; then do is sent and read takes
// the remote id out of the answer.
type job struct {
	verdict   *crm.Verdict
	settled   bool
	questions []question
	do        command
	read      func(json.RawMessage) (string, *crm.Error)
}

// question is a read that a job depends on. take may settle the job; it reports whether the next page is wanted.
type question struct {
	ask  command
	take func(json.RawMessage) (more bool)
}

func (j *job) settle(id string, err *crm.Error) {
	j.settled = true
	j.verdict.RemoteID = id
	if err != nil {
		j.verdict.Err = err
	}
}

// Apply carries out changes in requests of 50 commands, in their order. First come the questions of those that
// have any: who owns the deal of a task, and whether an ambiguous effect is there already.
func (a *Account) Apply(ctx context.Context, changes []crm.Change) []crm.Verdict {
	verdicts := make([]crm.Verdict, len(changes))
	var jobs []*job
	for i, c := range changes {
		j := &job{verdict: &verdicts[i]}
		a.plan(j, c)
		jobs = append(jobs, j)
	}
	if fail := a.ask(ctx, jobs); fail != nil {
		abandon(jobs, fail)
	}
	a.do(ctx, unsettled(jobs))
	return verdicts
}

// unsettled are the jobs that are not settled yet.
func unsettled(jobs []*job) []*job {
	var left []*job
	for _, j := range jobs {
		if !j.settled {
			left = append(left, j)
		}
	}
	return left
}

// abandon settles what was not sent with the failure that stopped the work.
func abandon(jobs []*job, fail *crm.Error) {
	for _, j := range jobs {
		if !j.settled {
			j.settle("", unsent(fail))
		}
	}
}

// do sends the jobs; those of a method that has to wait are left out. After the failure of a whole request the rest is not
// tried: it would fail the same way.
func (a *Account) do(ctx context.Context, jobs []*job) {
	for len(jobs) > 0 {
		part := jobs[:min(batchSize, len(jobs))]
		var cmds []command
		for _, j := range part {
			cmds = append(cmds, j.do)
		}
		got, fail := a.run(ctx, cmds)
		if waits := waiting(part, fail); len(waits) > 0 {
			abandon(waits, fail)
			jobs = unsettled(jobs)
			continue
		}
		jobs = jobs[len(part):]
		if fail != nil {
			for _, j := range part {
				j.settle("", fail)
			}
			abandon(jobs, fail)
			return
		}
		for i, j := range part {
			if got[i].err != nil {
				j.settle("", got[i].err)
				continue
			}
			j.settle(j.read(got[i].result))
		}
	}
}

// waiting are the jobs whose method has to wait, when that alone is why a request was not sent.
func waiting(jobs []*job, fail *crm.Error) (held []*job) {
	for _, j := range jobs {
		if fail != nil && fail.Method != "" && fail.Method == j.do.method {
			held = append(held, j)
		}
	}
	return held
}

const mostPages = 10 // of 50 rows, looked through for a reference

// asked is a question with the job it belongs to and the page it is at.
type asked struct {
	question
	job   *job
	start int
	pages int
}

// ask puts the questions of all jobs, page by page. An error is a whole request's.
func (a *Account) ask(ctx context.Context, jobs []*job) *crm.Error {
	var open []asked
	for _, j := range jobs {
		for _, q := range j.questions {
			open = append(open, asked{question: q, job: j})
		}
	}
	for len(open) > 0 {
		part := open[:min(batchSize, len(open))]
		var cmds []command
		for _, q := range part {
			cmds = append(cmds, q.page())
		}
		got, fail := a.run(ctx, cmds)
		if fail != nil {
			left := unasked(open, fail)
			if len(left) == len(open) {
				return fail
			}
			open = left
			continue
		}
		open = open[len(part):]
		for i, q := range part {
			if q.job.settled {
				continue
			}
			if got[i].err != nil {
				q.job.settle("", unsent(got[i].err))
				continue
			}
			more := q.take(got[i].result) && !q.job.settled && got[i].next > q.start
			if q.start, q.pages = got[i].next, q.pages+1; more && q.pages < mostPages {
				open = append(open, q)
			}
		}
	}
	return nil
}

// unasked settles the jobs whose question's method has to wait, and returns what else is to be asked.
func unasked(open []asked, fail *crm.Error) (left []asked) {
	for _, q := range open {
		if fail.Method != "" && q.ask.method == fail.Method {
			q.job.settle("", unsent(fail))
		}
	}
	for _, q := range open {
		if !q.job.settled {
			left = append(left, q)
		}
	}
	return left
}

func (q asked) page() command {
	if q.start == 0 {
		return q.ask
	}
	p := params{"start": q.start}
	for k, v := range q.ask.params {
		p[k] = v
	}
	return command{q.ask.method, p}
}

// plan fills in the job of a change, or settles it when there is nothing to send.
func (a *Account) plan(j *job, c crm.Change) {
	switch {
	case c.Effect != nil && c.Effect.Kind == crm.CloseTask:
		a.planClose(j, *c.Effect)
	case !isID(c.Deal):
		j.settle("", gone("apply", c.Deal))
	case c.State != nil:
		a.planState(j, c.Deal, *c.State)
	case c.Effect != nil && c.Effect.Kind == crm.Note:
		a.planNote(j, c.Deal, *c.Effect)
	case c.Effect != nil && c.Effect.Kind == crm.Task:
		a.planTask(j, c.Deal, *c.Effect)
	default:
		j.settle("", &crm.Error{Class: crm.Refused, Op: "apply", Code: "NO_CHANGE", Err: errors.New("nothing to do")})
	}
}

func (a *Account) planState(j *job, deal string, s crm.State) {
	const op = "crm.item.update"
	if len(a.layout.Fields) == 0 || s.Status != "" && a.layout.Options[s.Status] == "" {
		j.settle("", &crm.Error{Class: crm.Transient, Op: op, Code: "NO_LAYOUT", Unprepared: true, Err: errors.New("the fields are not set up")})
		return
	}
	j.do = command{op, params{"entityTypeId": typeDeal, "id": deal, "useOriginalUfNames": "Y", "fields": a.layout.write(s)}}
	j.read = func(raw json.RawMessage) (string, *crm.Error) {
		item, err := parseItem(raw)
		if err != nil {
			return "", unreadable(op, err)
		}
		if name := a.layout.lost(item); name != "" {
			return "", &crm.Error{Class: crm.Transient, Op: op, Code: "FIELD_MISSING", Unprepared: true, Err: errors.New("the field was deleted: " + name)}
		}
		if name := a.layout.gone(s.Pipeline, item); name != "" {
			return "", &crm.Error{Class: crm.Refused, Op: op, Code: "FIELD_GONE", Err: errors.New("the settings name a field that was deleted: " + clip(name))}
		}
		return "", nil
	}
}

// tagged is text with reference in it.
func tagged(text, reference string) string {
	if reference == "" || carries(text, reference) {
		return text
	}
	return text + " (" + reference + ")"
}

// carries reports whether reference stands in text as a word of its own: DP-1 is not in DP-12.
func carries(text, reference string) bool {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		if word == reference {
			return true
		}
	}
	return false
}

// Comments are BB code; what people wrote must not become a link or a picture in the card.
var brackets = strings.NewReplacer("[", "(", "]", ")")

func (a *Account) planNote(j *job, deal string, e crm.Effect) {
	of := params{"ENTITY_ID": deal, "ENTITY_TYPE": "deal"}
	if e.Ambiguous {
		j.questions = append(j.questions, question{
			command{"crm.timeline.comment.list", params{"filter": of, "select": []string{"ID", "COMMENT"}, "order": params{"ID": "DESC"}}},
			j.found(e.Reference)})
	}
	j.do = command{"crm.timeline.comment.add", params{"fields": params{"ENTITY_ID": deal, "ENTITY_TYPE": "deal",
		"COMMENT": brackets.Replace(tagged(e.Text, e.Reference))}}}
	j.read = func(raw json.RawMessage) (string, *crm.Error) { return remoteID("crm.timeline.comment.add", raw) }
}

// found settles j with the first row of a list that carries the reference.
func (j *job) found(reference string) func(json.RawMessage) bool {
	return func(raw json.RawMessage) bool {
		var rows []struct {
			ID      text `json:"ID"`
			Comment text `json:"COMMENT"` // of a comment
			Subject text `json:"SUBJECT"` // of an activity
		}
		if json.Unmarshal(raw, &rows) != nil {
			j.settle("", unreadable("list", errors.New("no list of notes or tasks")))
			return false
		}
		for _, r := range rows {
			if !j.settled && carries(string(r.Comment+r.Subject), reference) {
				j.settle(string(r.ID), nil)
			}
		}
		return true
	}
}

const longestTitle = 200

func (a *Account) planTask(j *job, deal string, e crm.Effect) {
	due := e.Due
	if due.IsZero() {
		due = a.c.Now().Add(24 * time.Hour)
	}
	title, rest, _ := strings.Cut(e.Text, "\n")
	if len(title) > longestTitle {
		title, rest = "Dealpay", e.Text
	}
	p := params{"ownerTypeId": typeDeal, "ownerId": deal, "deadline": moment(due), "title": tagged(title, e.Reference),
		"description": rest, "responsibleId": e.OwnerID}
	if e.Ambiguous {
		j.questions = append(j.questions, question{
			command{"crm.activity.list", params{"filter": params{"OWNER_TYPE_ID": typeDeal, "OWNER_ID": deal, "%SUBJECT": e.Reference},
				"select": []string{"ID", "SUBJECT"}, "order": params{"ID": "DESC"}}},
			j.found(e.Reference)})
	}
	if e.OwnerID == "" {
		j.questions = append(j.questions, question{itemGet(typeDeal, deal), func(raw json.RawMessage) bool {
			item, err := parseItem(raw)
			if err != nil {
				j.settle("", unreadable("crm.item.get", err))
				return false
			}
			p["responsibleId"] = item.text("assignedById")
			return false
		}})
	}
	j.do = command{"crm.activity.todo.add", p}
	j.read = func(raw json.RawMessage) (string, *crm.Error) {
		var in object
		if err := json.Unmarshal(raw, &in); err != nil {
			return "", unreadable("crm.activity.todo.add", err)
		}
		return remoteID("crm.activity.todo.add", in["id"])
	}
}

// planClose completes a to-do. A to-do has no place for a result, so the effect's text stays with us.
func (a *Account) planClose(j *job, e crm.Effect) {
	if !isID(e.RemoteID) {
		j.settle("", gone("crm.activity.update", e.RemoteID))
		return
	}
	j.do = command{"crm.activity.update", params{"id": e.RemoteID, "fields": params{"COMPLETED": "Y"}}}
	j.read = func(json.RawMessage) (string, *crm.Error) { return e.RemoteID, nil }
}

// remoteID reads the id of what was made. Without one, it may have been made all the same.
func remoteID(op string, raw json.RawMessage) (string, *crm.Error) {
	var id text
	if err := json.Unmarshal(raw, &id); err != nil || !isID(string(id)) {
		fail := unreadable(op, errors.New("no id in the answer"))
		fail.Ambiguous = true
		return "", fail
	}
	return string(id), nil
}
