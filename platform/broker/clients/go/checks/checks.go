// Package checks runs the checks of `checks.txt`, in terms of what a client offers; each client has a program that says
// how it does that.
package checks

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Deadline bounds every wait.
const Deadline = 40 * time.Second

// Absent says that a client has no such thing.
type Absent string

func (absent Absent) Error() string { return string(absent) }

// Start is where reading begins: at the start, at the end, at an offset, or at a time in milliseconds.
type Start struct {
	End    bool
	Offset int64
	Time   int64
}

// Client is what every client offers, or answers with Absent.
type Client interface {
	Name() (name, version string)
	Create(topic string, partitions int) error
	Send(topic string, values []string, partition int, codec string, idempotent bool) error
	// Read reads so many values of a partition; `meanwhile` runs once it is known where that begins.
	Read(topic string, partition int, start Start, count int, committed bool, meanwhile func() error) ([]string, error)
	Transaction(id string) (Transaction, error)
	Committed(group, topic string, partition int) (int64, error)
	Member(group, topic, assignor, instance, protocol string) (Member, error)
	// Admin does what `checks.txt` says of one kind of administration.
	Admin(what string) error
}

// Transaction is a producer with an id; what is sent after an end begins the next transaction.
type Transaction interface {
	Send(topic string, values []string) error
	Offsets(group, topic string, partition int, offset int64) error
	End(commit bool) error
}

// Member of a group, which reads by itself.
type Member interface {
	Values() []string
	Assigned() []int
	Commit() error
	Close() error
}

// Journal keeps what a member has read and what it was assigned.
type Journal struct {
	lock     sync.Mutex
	values   []string
	assigned []int
}

func (journal *Journal) Add(values ...string) {
	journal.lock.Lock()
	defer journal.lock.Unlock()
	journal.values = append(journal.values, values...)
}

func (journal *Journal) Assign(partitions []int) {
	journal.lock.Lock()
	defer journal.lock.Unlock()
	journal.assigned = slices.Clone(partitions)
	slices.Sort(journal.assigned)
}

func (journal *Journal) Values() []string {
	journal.lock.Lock()
	defer journal.lock.Unlock()
	return slices.Clone(journal.values)
}

func (journal *Journal) Assigned() []int {
	journal.lock.Lock()
	defer journal.lock.Unlock()
	return slices.Clone(journal.assigned)
}

// Unique makes a name that nobody has.
func Unique(what string) string {
	bytes := make([]byte, 4)
	if _, err := rand.Read(bytes); err != nil {
		panic(err)
	}
	return what + "-" + hex.EncodeToString(bytes)
}

// Until waits for a condition.
func Until(what func() string, condition func() (bool, error)) error {
	for end := time.Now().Add(Deadline); ; time.Sleep(20 * time.Millisecond) {
		met, err := condition()
		if err != nil || met {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", Deadline, what())
		}
	}
}

// FromTheEnd is for readers that do not say when they are where the end is: it is sent for them until they have seen that,
// then `meanwhile` runs. What they have seen of it is not among the values that it answers.
func FromTheEnd(values func() []string, send func(value string) error, meanwhile func() error, count int) ([]string, error) {
	const probe = "probe"
	kept := func() []string { return slices.DeleteFunc(values(), func(value string) bool { return value == probe }) }
	err := Until(func() string { return "nothing read that was sent behind the end" }, func() (bool, error) {
		return slices.Contains(values(), probe), send(probe)
	})
	if err := First(err, meanwhile()); err != nil {
		return nil, err
	}
	err = Until(func() string { return fmt.Sprintf("%d of %d values", len(kept()), count) },
		func() (bool, error) { return len(kept()) >= count, nil })
	return kept(), err
}

// Expect compares.
func Expect[T any](found, wanted T, what string) error {
	if text, other := fmt.Sprint(found), fmt.Sprint(wanted); text != other {
		return fmt.Errorf("%s: %.200s instead of %.200s", what, text, other)
	}
	return nil
}

// First is the first failure.
func First(failures ...error) error {
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	return nil
}

func numbers(from, to int) []string {
	var values []string
	for number := from; number < to; number++ {
		values = append(values, fmt.Sprint(number))
	}
	return values
}

type runner struct{ Client }

func (run runner) topic(partitions int) (string, error) {
	name := Unique("topic")
	return name, run.Create(name, partitions)
}

func (run runner) sends(count int, codec string, idempotent bool) error {
	topic, err := run.topic(1)
	if err != nil {
		return err
	}
	var values []string
	for number := range count {
		values = append(values, strings.Repeat(fmt.Sprintf("%s %d ", codec, number), 10))
	}
	if err := run.Send(topic, values, 0, codec, idempotent); err != nil {
		return err
	}
	found, err := run.Read(topic, 0, Start{}, count, false, nil)
	return First(err, Expect(found, values, "values"))
}

func (run runner) transactions() error {
	topic, err := run.topic(1)
	if err != nil {
		return err
	}
	transaction, err := run.Transaction(Unique("id"))
	if err != nil {
		return err
	}
	var every, kept []string
	for number, commits := range []bool{true, false, true} {
		values := numbers(number*10, number*10+10)
		every = append(every, values...)
		if commits {
			kept = append(kept, values...)
		}
		if err := First(transaction.Send(topic, values), transaction.End(commits)); err != nil {
			return err
		}
	}
	found, err := run.Read(topic, 0, Start{}, len(kept), true, nil)
	if err := First(err, Expect(found, kept, "committed values")); err != nil {
		return err
	}
	found, err = run.Read(topic, 0, Start{}, len(every), false, nil)
	return First(err, Expect(found, every, "all values"))
}

func (run runner) offsets() error {
	topic, err := run.topic(1)
	if err != nil {
		return err
	}
	group := Unique("group")
	transaction, err := run.Transaction(Unique("id"))
	if err != nil {
		return err
	}
	kept := int64(-1)
	for _, step := range []struct {
		offset  int64
		commits bool
	}{{3, true}, {7, false}, {5, true}} {
		err := First(transaction.Send(topic, []string{"copy"}), transaction.Offsets(group, topic, 0, step.offset),
			transaction.End(step.commits))
		if err != nil {
			return err
		}
		if step.commits {
			kept = step.offset
		}
		found, err := run.Committed(group, topic, 0)
		if err := First(err, Expect(found, kept, "committed offset")); err != nil {
			return err
		}
	}
	return nil
}

func (run runner) consume(from string) error {
	topic, err := run.topic(1)
	if err != nil {
		return err
	}
	send := func(values ...string) error { return run.Send(topic, values, 0, "none", false) }
	if err := send(numbers(0, 10)...); err != nil {
		return err
	}
	start, wanted, meanwhile := Start{}, numbers(0, 10), func() error { return nil }
	switch from {
	case "the end":
		start, wanted = Start{End: true}, []string{"new"}
		meanwhile = func() error { return send("new") }
	case "an offset":
		start, wanted = Start{Offset: 7}, numbers(7, 10)
	case "a time":
		start, wanted = Start{Time: time.Now().UnixMilli() + 1}, []string{"later"}
		for time.Now().UnixMilli() <= start.Time {
			time.Sleep(time.Millisecond)
		}
		if err := send("later"); err != nil {
			return err
		}
	}
	found, err := run.Read(topic, 0, start, len(wanted), false, meanwhile)
	return First(err, Expect(found, wanted, "values"))
}

func share(members []Member, partitions int) error {
	held := func() (all [][]int) {
		for _, member := range members {
			all = append(all, member.Assigned())
		}
		return all
	}
	return Until(func() string { return fmt.Sprint("partitions ", held()) }, func() (bool, error) {
		all := held()
		for _, partitions := range all {
			if len(partitions) == 0 {
				return false, nil
			}
		}
		together := slices.Concat(all...)
		slices.Sort(together)
		return slices.Equal(together, slices.Compact(slices.Clone(together))) && len(together) == partitions, nil
	})
}

func have(members []Member, wanted []string) error {
	values := func() (all []string) {
		for _, member := range members {
			all = append(all, member.Values()...)
		}
		slices.Sort(all)
		return all
	}
	wanted = slices.Sorted(slices.Values(wanted))
	err := Until(func() string { return fmt.Sprintf("%d of %d values", len(values()), len(wanted)) },
		func() (bool, error) { return len(values()) >= len(wanted), nil })
	return First(err, Expect(values(), wanted, "values"))
}

func (run runner) group(assignor, protocol string) error {
	topic, err := run.topic(4)
	if err != nil {
		return err
	}
	group := Unique("group")
	var members []Member
	for range 2 {
		member, err := run.Member(group, topic, assignor, "", protocol)
		if err != nil {
			return err
		}
		members = append(members, member)
	}
	if err := share(members, 4); err != nil {
		return err
	}
	for partition := range 4 {
		if err := run.Send(topic, numbers(partition*10, partition*10+10), partition, "none", false); err != nil {
			return err
		}
	}
	if err := have(members, numbers(0, 40)); err != nil {
		return err
	}
	if err := First(members[0].Commit(), members[1].Commit(), members[1].Close()); err != nil {
		return err
	}
	return First(share(members[:1], 4), members[0].Close())
}

func (run runner) goOn() error {
	topic, err := run.topic(1)
	if err != nil {
		return err
	}
	group := Unique("group")
	for _, values := range [][]string{{"1", "2"}, {"3"}} {
		if err := run.Send(topic, values, 0, "none", false); err != nil {
			return err
		}
		member, err := run.Member(group, topic, "range", "", "classic")
		if err != nil {
			return err
		}
		if err := First(have([]Member{member}, values), member.Commit(), member.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (run runner) static() error {
	topic, err := run.topic(4)
	if err != nil {
		return err
	}
	group := Unique("group")
	join := func(name string) (Member, error) { return run.Member(group, topic, "range", name, "classic") }
	one, err := join("one")
	if err != nil {
		return err
	}
	two, err := join("two")
	if err != nil {
		return err
	}
	if err := share([]Member{one, two}, 4); err != nil {
		return err
	}
	before := [][]int{one.Assigned(), two.Assigned()}
	if err := two.Close(); err != nil {
		return err
	}
	if two, err = join("two"); err != nil {
		return err
	}
	err = Until(func() string { return fmt.Sprint("partitions ", two.Assigned()) },
		func() (bool, error) { return slices.Equal(two.Assigned(), before[1]), nil })
	return First(err, Expect(one.Assigned(), before[0], "partitions of who stayed"), one.Close(), two.Close())
}
