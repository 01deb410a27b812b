"""What the report's figures mean, and which way they are better. A metric that is not here has no best."""

# 1: higher is better, -1: lower is better, 0: neither
METRICS: dict[str, tuple[int, str]] = {
    "spearman": (1, "rank correlation with people's scores, pairs of known words only"),
    "spearman_all": (1, "as spearman, where a pair with an unknown word counts as similarity 0"),
    "spearman_composed": (1, "as spearman_all, with unknown words made of their letter n-grams"),
    "coverage": (1, "share of the set that could be asked"),
    "accuracy": (1, "share of right answers"),
    "accuracy_all": (1, "as accuracy, where a question that cannot be asked counts as wrong"),
    "accuracy_majority": (0, "what always naming the most frequent class would reach"),
    "macro_f1": (1, "F1, every class weighing the same"),
    "log_loss": (-1, "nats; how surprised the classifier was by the truth"),
    "micro_f1": (1, "F1 over the answers to all classes together; where a document is of one, its accuracy"),
    "calibration_error": (-1, "mean distance of confidence from accuracy, in 15 bins of confidence"),
    "hamming_loss": (-1, "share of these answers that are wrong"),
    "mean_absolute_error": (-1, "how far a rating is off"),
    "quadratic_kappa": (1, "1 less the squared error over that of chance, of ratings"),
    "exact_match": (1, "share of texts that are right to the last character"),
    "character_errors": (-1, "edits that are needed, over the characters of the truth"),
    "tokens_right": (1, "share of the truth's tokens that stand at their place"),
    "entity_f1": (1, "F1 of entities, right in their tokens and their kind"),
    "entity_precision": (1, "share of the entities told that are there"),
    "entity_recall": (1, "share of the entities there that are told"),
    "perplexity": (-1, "one over the geometric mean of the documents' probabilities of a token"),
    "recall": (1, "share of what was to be found that is: of relevant documents, or, by codings, of the nearest by the vectors"),
    "ndcg": (1, "gain of the first k found, early ones weighing more, over that of the best order"),
    "reciprocal_rank": (1, "one over the place of the first relevant document"),
    "hit_rate": (1, "share of sequences whose last item is among the first k"),
    "recall_reranked": (1, "as recall, where the vectors order the best that the codings find"),
    "coherence": (1, "mean NPMI of a topic's top words"),
    "diversity": (1, "different words among all top words"),
    "r_squared": (1, "share of the variance of what was held out that the probe foretells"),
    "accuracy_control": (0, "accuracy of the same probe on tags dealt out at random"),
    "selectivity": (1, "accuracy less that on tags dealt out at random"),
    "accuracy_gain": (1, "accuracy over the rival's, same draws"),
    "explained_variance": (1, "share of the vectors' variance that the codings keep"),
    "mean_squared_error": (-1, "of each number of a vector"),
    "bytes_per_item": (-1, "of a coding"),
    "whole_bytes": (-1, "of a coding and its share of the decoder"),
    "ratio": (1, "times smaller than the vectors, decoder included"),
    "nearest_cosine": (0, "mean cosine of a word and its nearest neighbour"),
    "hubness": (-1, "skewness of how often a word is a neighbour; 0 is even"),
    "effect_size": (0, "of WEAT, in standard deviations of the targets' associations; 0 is no bias"),
    "p_value": (0, "share of the ways to part the targets that set them as far apart"),
    "purity": (1, "share of words of the most frequent category of their cluster"),
    "adjusted_rand": (1, "agreement of clusters and categories over pairs of words; chance gives 0"),
    "normalised_mutual_information": (1, "of clusters and categories; 1 is the same parting"),
    "outlier_position": (1, "mean place of the outlier among the words of its set; 1 is last, and found"),
    "isotropy": (1, "least over greatest partition function; 1 is the same in all directions"),
    "mean_cosine": (0, "of random pairs; 0 where they point anywhere"),
    "top_variance": (0, "share of the variance that the first principal components hold"),
    "overlap": (1, "share of a word's nearest neighbours that are so elsewhere, too: in another row, or in a picture"),
    "jaccard": (1, "neighbours that both rows give a word, over those that either gives"),
    "silhouette": (1, "how much nearer a word is to its own cluster than to the next"),
    "trustworthiness": (1, "1 less how far off, in the vectors, the strange neighbours in a picture are"),
    "agreement": (1, "share of a word's nearest in the best picture that the other pictures have, too"),
    "words_known": (1, "share of the named words that are in the vocabulary"),
    "probability": (0, "of a word near another"),
    "probability_ratio": (0, "how much likelier a word is near the first than near the second; about 1 tells nothing"),
}


def sign_of(metric: str) -> int:
    return METRICS.get(metric, (0, ""))[0]


def meaning(metric: str) -> str:
    sign, what = METRICS.get(metric, (0, ""))
    return "; ".join(filter(None, [what, {1: "higher is better", -1: "lower is better"}.get(sign, "")]))
