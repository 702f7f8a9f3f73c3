// franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"osqdemo/clients/checks"
)

type client struct {
	bootstrap string
	admin     *kadm.Client
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), checks.Deadline)
}

func (client) Name() (string, string) {
	return "franz-go", checks.Version("github.com/twmb/franz-go")
}

func (its client) connect(options ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{kgo.SeedBrokers(its.bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	return kgo.NewClient(append(base, options...)...)
}

func (its client) Create(topic string, partitions int) error {
	ctx, done := within()
	defer done()
	_, err := its.admin.CreateTopic(ctx, int32(partitions), 1, nil, topic)
	return err
}

func send(client *kgo.Client, topic string, values []string, partition int) error {
	ctx, done := within()
	defer done()
	var records []*kgo.Record
	for _, value := range values {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(partition), Value: []byte(value)})
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

func (its client) Send(topic string, values []string, partition int, codec string, idempotent bool) error {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	options := []kgo.Opt{kgo.ProducerBatchCompression(codecs[codec])}
	if !idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	producer, err := its.connect(options...)
	if err != nil {
		return err
	}
	defer producer.Close()
	return send(producer, topic, values, partition)
}

func (its client) Read(topic string, partition int, start checks.Start, count int, committed bool, meanwhile func() error) ([]string, error) {
	ctx, done := within()
	defer done()
	from := kgo.NewOffset().At(start.Offset)
	switch {
	case start.End:
		ends, err := its.admin.ListEndOffsets(ctx, topic)
		if err != nil {
			return nil, err
		}
		end, _ := ends.Lookup(topic, int32(partition))
		from = kgo.NewOffset().At(end.Offset)
	case start.Time > 0:
		from = kgo.NewOffset().AfterMilli(start.Time)
	case start.Offset == 0:
		from = kgo.NewOffset().AtStart()
	}
	level := kgo.ReadUncommitted()
	if committed {
		level = kgo.ReadCommitted()
	}
	place := map[string]map[int32]kgo.Offset{topic: {int32(partition): from}}
	consumer, err := its.connect(kgo.ConsumePartitions(place), kgo.FetchIsolationLevel(level))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return nil, err
		}
	}
	var found []string
	for len(found) < count {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d values: %w", len(found), count, err)
		}
		fetches.EachRecord(func(record *kgo.Record) { found = append(found, string(record.Value)) })
	}
	return found, nil
}

func (its client) Committed(group, topic string, partition int) (int64, error) {
	ctx, done := within()
	defer done()
	offsets, err := its.admin.FetchOffsets(ctx, group)
	found, _ := offsets.Lookup(topic, int32(partition))
	return found.At, err
}

type transaction struct {
	id       string
	producer *kgo.Client
	open     bool
}

func (its client) Transaction(id string) (checks.Transaction, error) {
	producer, err := its.connect(kgo.TransactionalID(id))
	return &transaction{id: id, producer: producer}, err
}

func (its *transaction) Send(topic string, values []string) error {
	if !its.open {
		if err := its.producer.BeginTransaction(); err != nil {
			return err
		}
		its.open = true
	}
	return send(its.producer, topic, values, 0)
}

// What GroupTransactSession sends, without a group that reads.
func (its *transaction) Offsets(group, topic string, partition int, offset int64) error {
	ctx, done := within()
	defer done()
	id, epoch, err := its.producer.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = its.id, id, epoch, group
	added, err := add.RequestWith(ctx, its.producer)
	if err != nil {
		return err
	}
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = its.id, id, epoch, group
	place := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	place.Partition, place.Offset = int32(partition), offset
	of := kmsg.NewTxnOffsetCommitRequestTopic()
	of.Topic, of.Partitions = topic, append(of.Partitions, place)
	commit.Topics = append(commit.Topics, of)
	committed, err := commit.RequestWith(ctx, its.producer)
	if err != nil {
		return err
	}
	return checks.First(kerr.ErrorForCode(added.ErrorCode), kerr.ErrorForCode(committed.Topics[0].Partitions[0].ErrorCode))
}

func (its *transaction) End(commit bool) error {
	ctx, done := within()
	defer done()
	its.open = false
	return its.producer.EndTransaction(ctx, kgo.TransactionEndTry(commit))
}

type member struct {
	checks.Journal
	consumer *kgo.Client
	stop     context.CancelFunc
	ended    chan struct{}
	instance string
}

func (its client) Member(group, topic, assignor, instance, protocol string) (checks.Member, error) {
	joined := &member{ended: make(chan struct{}), instance: instance}
	held := map[int32]bool{}
	show := func() {
		var partitions []int
		for partition := range held {
			partitions = append(partitions, int(partition))
		}
		joined.Assign(partitions)
	}
	gone := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		for _, partition := range lost[topic] {
			delete(held, partition)
		}
		show()
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			for _, partition := range got[topic] {
				held[partition] = true
			}
			show()
		}),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone),
	}
	if protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	} else {
		balancers := map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
			"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer()}
		options = append(options, kgo.Balancers(balancers[assignor]), kgo.SessionTimeout(10*time.Second),
			kgo.HeartbeatInterval(500*time.Millisecond))
	}
	if instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	var err error
	if joined.consumer, err = its.connect(options...); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	joined.stop = stop
	go func() {
		defer close(joined.ended)
		for ctx.Err() == nil {
			joined.consumer.PollFetches(ctx).EachRecord(func(record *kgo.Record) { joined.Add(string(record.Value)) })
		}
	}()
	return joined, nil
}

func (its *member) Commit() error {
	ctx, done := within()
	defer done()
	return its.consumer.CommitUncommittedOffsets(ctx)
}

func (its *member) Close() error {
	its.stop()
	<-its.ended
	its.consumer.Close()
	return nil
}

func (its client) Admin(what string) error {
	ctx, done := within()
	defer done()
	topic := checks.Unique("topic")
	switch what {
	case "topics":
		partitions := func() (int, error) {
			topics, err := its.admin.ListTopics(ctx, topic)
			return len(topics[topic].Partitions), err
		}
		if err := its.Create(topic, 2); err != nil {
			return err
		}
		before, err := partitions()
		if err := checks.First(err, checks.Expect(before, 2, "partitions")); err != nil {
			return err
		}
		grown, err := its.admin.UpdatePartitions(ctx, 5, topic)
		if err := checks.First(err, grown.Error()); err != nil {
			return err
		}
		after, err := partitions()
		if err := checks.First(err, checks.Expect(after, 5, "partitions")); err != nil {
			return err
		}
		_, err = its.admin.DeleteTopic(ctx, topic)
		return err
	case "settings":
		if err := its.Create(topic, 1); err != nil {
			return err
		}
		value := "1234567"
		altered, err := its.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, topic)
		if err := checks.First(err, altered[0].Err); err != nil {
			return err
		}
		settings, err := its.admin.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return err
		}
		for _, setting := range settings[0].Configs {
			if setting.Key == "retention.ms" {
				return checks.Expect(setting.MaybeValue(), value, "retention.ms")
			}
		}
		return errors.New("retention.ms is not described")
	case "records":
		if err := checks.First(its.Create(topic, 1), its.Send(topic, []string{"1", "2", "3"}, 0, "none", false)); err != nil {
			return err
		}
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic, 0, 2, -1)
		deleted, err := its.admin.DeleteRecords(ctx, offsets)
		if err := checks.First(err, deleted.Error()); err != nil {
			return err
		}
		found, err := its.Read(topic, 0, checks.Start{}, 1, false, nil)
		return checks.First(err, checks.Expect(found, []string{"3"}, "values"))
	case "groups":
		group := checks.Unique("group")
		if err := checks.First(its.Create(topic, 1), its.Send(topic, []string{"1"}, 0, "none", false)); err != nil {
			return err
		}
		joined, err := its.Member(group, topic, "range", "", "classic")
		if err != nil {
			return err
		}
		err = checks.Until(func() string { return "a record" }, func() (bool, error) { return len(joined.Values()) > 0, nil })
		if err := checks.First(err, joined.Commit()); err != nil {
			return err
		}
		listed, err := its.admin.ListGroups(ctx)
		if _, found := listed[group]; err != nil || !found {
			return errors.Join(err, checks.Expect(found, true, "listed"))
		}
		described, err := its.admin.DescribeGroups(ctx, group)
		if err := checks.First(err, checks.Expect(len(described[group].Members), 1, "members"), joined.Close()); err != nil {
			return err
		}
		offset, err := its.Committed(group, topic, 0)
		if err := checks.First(err, checks.Expect(offset, 1, "offset")); err != nil {
			return err
		}
		_, err = its.admin.DeleteGroup(ctx, group)
		return err
	case "cluster":
		cluster, err := its.admin.BrokerMetadata(ctx)
		return checks.First(err, checks.Expect(len(cluster.Brokers), 1, "brokers"))
	case "ACLs":
		rule := kadm.NewACLs().Topics(topic).ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead).
			Allow("User:alice").AllowHosts("*")
		made, err := its.admin.CreateACLs(ctx, rule)
		if err := checks.First(err, made[0].Err); err != nil {
			return err
		}
		described, err := its.admin.DescribeACLs(ctx, rule)
		if err := checks.First(err, checks.Expect(len(described[0].Described), 1, "rules")); err != nil {
			return err
		}
		deleted, err := its.admin.DeleteACLs(ctx, rule)
		return checks.First(err, checks.Expect(len(deleted[0].Deleted), 1, "rules deleted"))
	case "users":
		user := checks.Unique("user")
		altered, err := its.admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: user,
			Mechanism: kadm.ScramSha512, Iterations: 8192, Password: "secret"}})
		if err := checks.First(err, altered[user].Err); err != nil {
			return err
		}
		described, err := its.admin.DescribeUserSCRAMs(ctx, user)
		if err := checks.First(err, checks.Expect(len(described[user].CredInfos), 1, "credentials")); err != nil {
			return err
		}
		altered, err = its.admin.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{{User: user, Mechanism: kadm.ScramSha512}}, nil)
		return checks.First(err, altered[user].Err)
	}
	return fmt.Errorf("there is no check of %s", what)
}

func main() {
	checks.Main(func(bootstrap string) (checks.Client, error) {
		connected, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
		return client{bootstrap, kadm.NewClient(connected)}, err
	})
}
