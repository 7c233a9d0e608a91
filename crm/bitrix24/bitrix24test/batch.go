package bitrix24test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

const batchLimit = 50

var (
	errNested = &restError{status: 405, code: "ERROR_BATCH_METHOD_NOT_ALLOWED", text: "Method is not allowed for batch usage"}
	errLength = bad("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
)

var (
	reference = regexp.MustCompile(`\$result((?:\[[^\[\]]*\])+)`)
	step      = regexp.MustCompile(`\[([^\[\]]*)\]`)
)

// runBatch executes up to 50 commands in order (page "How to Execute a Batch Request").
// The answer is 200 whatever happened to the commands.
func runBatch(c *call) (any, *restError) {
	commands, ok := object(c.params["cmd"])
	if !ok {
		return nil, bad("ERROR_ARGUMENT", "Argument 'cmd' is null or empty")
	}
	results, errors, totals, nexts, times := phpMap{}, phpMap{}, phpMap{}, phpMap{}, phpMap{}
	for i, key := range c.keys {
		inner, result, refused := c.command(text(commands[key]), results, i)
		if refused != nil {
			errors[key] = refused.body()
			if yes(c.params["halt"]) {
				break
			}
			continue
		}
		results[key] = result
		times[key] = inner.time(false)
		if inner.total >= 0 {
			totals[key] = inner.total
		}
		if inner.next >= 0 {
			nexts[key] = inner.next
		}
	}
	return params{"result": results, "result_error": errors, "result_total": totals, "result_next": nexts, "result_time": times}, nil
}

// command runs one "method?query".
func (c *call) command(cmd string, results phpMap, position int) (*call, any, *restError) {
	if position >= batchLimit {
		return nil, nil, errLength
	}
	name, query, _ := strings.Cut(cmd, "?")
	name = restMethod(name)
	if name == "batch" {
		return nil, nil, errNested
	}
	form, err := url.ParseQuery(query)
	if err != nil {
		return nil, nil, bad("INVALID_REQUEST", "Invalid query")
	}
	for _, values := range form {
		for i := range values {
			values[i] = resolve(values[i], results)
		}
	}
	inner := &call{p: c.p, user: c.user, method: name, params: fromForm(form), now: c.p.Control.Clock.Now(), total: -1, next: -1}
	result, refused := inner.execute()
	return inner, result, refused
}

// resolve replaces $result[key][field]… by what earlier commands answered; what cannot be
// resolved stays as it is.
func resolve(value string, results phpMap) string {
	if !strings.Contains(value, "$result[") {
		return value
	}
	return reference.ReplaceAllStringFunc(value, func(ref string) string {
		var at any = map[string]any(results)
		for _, m := range step.FindAllStringSubmatch(ref, -1) {
			here, ok := object(plain(at))
			if !ok {
				return ref
			}
			if at, ok = here[m[1]]; !ok {
				return ref
			}
		}
		switch at.(type) {
		case params, []any, nil:
			return ref
		}
		return text(at)
	})
}

// plain turns what a method answered into JSON's own types.
func plain(v any) any {
	switch v := v.(type) {
	case params, []any, string, bool, int, nil:
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var out any
	_ = dec.Decode(&out)
	return out
}

// batchLabel names the methods inside a batch, so that faults can match them.
func batchLabel(in params, keys []string) string {
	commands, _ := object(in["cmd"])
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		name, _, _ := strings.Cut(text(commands[key]), "?")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}
